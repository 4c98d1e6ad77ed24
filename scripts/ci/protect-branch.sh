#!/usr/bin/env bash
# Sets this repository's rules on GitHub: protected branch and tags, environments with approval, tokens.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/protect-branch.sh [--repository OWNER/NAME] [--reviews N] [--approver USER] [--dry-run]

  --repository OWNER/NAME  default: the one that gh finds here
  --reviews N              approvals that a pull request needs, one of them from an owner whom .github/CODEOWNERS
                           names; default 1; 0 if you work alone
  --approver USER          who may approve a deployment to production, default: you
  --dry-run                print the requests, send none

Running it twice leaves the same. What its plan or its organisation does not allow is skipped with one
sentence. Needs gh, logged in as an administrator of the repository.
Exit status: 0 all set or skipped, 1 a request was refused (the last line says why).
USAGE
}

# call METHOD PATH [JSON]
call() {
  if $DRY; then
    printf '%s /%s\n' "$1" "$2"
    [[ -z ${3:-} ]] || printf '%s\n' "$3"
  else
    gh api --silent --method "$1" "$2" ${3:+--input -} <<<"${3:-}"
  fi
}

# offer WHAT METHOD PATH [JSON]: GitHub refuses with 403, 404 or 422 what a plan does not allow, with 409 an organisation
offer() {
  local answer
  if $DRY; then call "${@:2}" && return; fi
  answer=$(call "${@:2}" 2>&1) && return
  [[ $answer =~ HTTP\ 4(03|04|09|22) ]] || fail "$1: $answer"
  say "Skipped: $1, which its plan or its organisation does not allow (${answer##*$'\n'})."
}

# ruleset REPOSITORY TARGET NAME: makes it, or replaces the one of that name; its rules on stdin
ruleset() {
  local id="" json method=POST path="repos/$1/rulesets"
  json="{\"name\": \"$3\", \"target\": \"$2\", \"enforcement\": \"active\", \"rules\": $(cat),
    \"conditions\": {\"ref_name\": {\"include\": [\"$3\"], \"exclude\": []}}}"
  $DRY || id=$(gh api "$path" --jq ".[] | select(.name == \"$3\") | .id" 2>/dev/null) || true
  [[ ! $id =~ ^[0-9]+$ ]] || { method=PUT && path+="/$id"; }
  offer "rules for $3" "$method" "$path" "$json"
}

# environment REPOSITORY NAME REVIEWERS_JSON: only main may deploy there
environment() {
  local policies="repos/$1/environments/$2/deployment-branch-policies" known=""
  offer "approval for $2" PUT "repos/$1/environments/$2" \
    "{\"reviewers\": $3, \"deployment_branch_policy\": {\"protected_branches\": false, \"custom_branch_policies\": true}}"
  $DRY || known=$(gh api "$policies" --jq '.branch_policies[].name' 2>/dev/null) || true
  [[ $known == main ]] || offer "only main deploys to $2" POST "$policies" '{"name": "main", "type": "branch"}'
}

main() {
  local repository="" reviews=1 approver="" id=0 reviewed=false owners=false
  DRY=false
  while (($#)); do
    case $1 in
      --repository) repository=${2:?--repository needs OWNER/NAME} && shift ;;
      --reviews) reviews=${2:?--reviews needs a number} && shift ;;
      --approver) approver=${2:?--approver needs a user} && shift ;;
      --dry-run) DRY=true ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/protect-branch.sh --help lists them all" ;;
    esac
    shift
  done
  [[ $reviews =~ ^[0-6]$ ]] || fail "--reviews must be 0 to 6, not '$reviews'"
  $DRY || command -v gh >/dev/null || fail "gh is missing: https://cli.github.com"
  if ! $DRY; then
    repository=${repository:-$(gh repo view --json nameWithOwner --jq .nameWithOwner)}
    id=$(gh api "${approver:+users/}${approver:-user}" --jq .id)
  fi
  repository=${repository:-OWNER/NAME}
  [[ $repository =~ ^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$ ]] || fail "--repository must be OWNER/NAME, not '$repository'"
  if ((reviews)); then
    reviewed=true
    # GitHub takes the rule for met where the file names nobody.
    if grep -qE '^[^#]*@' "$ROOT/.github/CODEOWNERS"; then owners=true; else say "No owner has to review: .github/CODEOWNERS names none."; fi
  fi

  # Squash only: the title of a pull request, which CI checks, becomes the commit.
  call PATCH "repos/$repository" '{"allow_merge_commit": false, "allow_rebase_merge": false,
    "allow_squash_merge": true, "squash_merge_commit_title": "PR_TITLE", "squash_merge_commit_message": "PR_BODY",
    "delete_branch_on_merge": true}'
  ruleset "$repository" branch refs/heads/main <<JSON
[{"type": "deletion"}, {"type": "non_fast_forward"}, {"type": "required_linear_history"},
 {"type": "pull_request", "parameters": {"required_approving_review_count": $reviews,
   "dismiss_stale_reviews_on_push": true, "require_code_owner_review": $owners,
   "require_last_push_approval": $reviewed,
   "required_review_thread_resolution": true, "allowed_merge_methods": ["squash"]}},
 {"type": "required_status_checks", "parameters": {"strict_required_status_checks_policy": true,
   "required_status_checks": [{"context": "Required"}, {"context": "Title"}]}}]
JSON
  # A released tag is neither moved nor deleted.
  ruleset "$repository" tag 'refs/tags/v*' <<<'[{"type": "deletion"}, {"type": "update"}]'
  environment "$repository" staging '[]'
  environment "$repository" production "[{\"type\": \"User\", \"id\": $id}]"
  # The second one lets release-please open its pull request; people still have to approve it.
  offer "a release pull request by GitHub's own token" PUT "repos/$repository/actions/permissions/workflow" \
    '{"default_workflow_permissions": "read", "can_approve_pull_request_reviews": true}'
  offer "private vulnerability reports" PUT "repos/$repository/private-vulnerability-reporting"
  offer "secret scanning of the whole history" PATCH "repos/$repository" '{"security_and_analysis":
    {"secret_scanning": {"status": "enabled"}, "secret_scanning_push_protection": {"status": "enabled"}}}'
  $DRY || say "Rules set for $repository."
}

main "$@"
