#!/usr/bin/env bash
# Sets this repository's rules on GitHub: protected branches, environments with approval, tokens.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/protect-branch.sh [--repository OWNER/NAME] [--reviews N] [--approver USER] [--dry-run]

  --repository OWNER/NAME  default: the one that gh finds here
  --reviews N              approvals that a pull request needs, default 1; 0 if you work alone
  --approver USER          who may approve a deployment to production, default: you
  --dry-run                print the requests, send none

Doing it twice leaves the same. Needs gh, logged in as an administrator of the repository.
Exit status: 0 all set, anything else: a request was refused, and the last line says why.
USAGE
}

# call METHOD PATH [JSON]
call() {
  if $DRY; then
    printf '%s /%s\n' "$1" "$2"
    [[ -z ${3:-} ]] || printf '%s\n' "$3"
  elif [[ -n ${3:-} ]]; then
    gh api --silent --method "$1" "$2" --input - <<<"$3"
  else
    gh api --silent --method "$1" "$2"
  fi
}

ruleset() {
  cat <<JSON
{
  "name": "main and develop",
  "target": "branch",
  "enforcement": "active",
  "conditions": {"ref_name": {"include": ["refs/heads/main", "refs/heads/develop"], "exclude": []}},
  "rules": [
    {"type": "deletion"},
    {"type": "non_fast_forward"},
    {"type": "required_linear_history"},
    {"type": "pull_request", "parameters": {
      "required_approving_review_count": $1,
      "dismiss_stale_reviews_on_push": true,
      "require_code_owner_review": $( (($1 > 0)) && echo true || echo false),
      "require_last_push_approval": $( (($1 > 0)) && echo true || echo false),
      "required_review_thread_resolution": true,
      "allowed_merge_methods": ["squash"]
    }},
    {"type": "required_status_checks", "parameters": {
      "strict_required_status_checks_policy": true,
      "required_status_checks": [{"context": "Required"}]
    }}
  ]
}
JSON
}

# protect REPOSITORY REVIEWS
protect() {
  local id=""
  $DRY || id=$(gh api "repos/$1/rulesets" --jq '.[] | select(.name == "main and develop") | .id')
  if [[ -n $id ]]; then
    call PUT "repos/$1/rulesets/$id" "$(ruleset "$2")"
  else
    call POST "repos/$1/rulesets" "$(ruleset "$2")"
  fi
}

# environment REPOSITORY NAME BRANCH REVIEWERS_JSON: only that branch may deploy there
environment() {
  call PUT "repos/$1/environments/$2" \
    "{\"reviewers\": $4, \"deployment_branch_policy\": {\"protected_branches\": false, \"custom_branch_policies\": true}}"
  local policies="repos/$1/environments/$2/deployment-branch-policies" known=""
  $DRY || known=$(gh api "$policies" --jq '.branch_policies[].name')
  [[ $known == "$3" ]] || call POST "$policies" "{\"name\": \"$3\", \"type\": \"branch\"}"
}

main() {
  local repository="" reviews=1 approver="" id=0
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

  # Squash only: the title of a pull request, which CI checks, becomes the commit.
  call PATCH "repos/$repository" '{"allow_merge_commit": false, "allow_rebase_merge": false, "allow_squash_merge": true,
    "squash_merge_commit_title": "PR_TITLE", "squash_merge_commit_message": "PR_BODY", "delete_branch_on_merge": true}'
  protect "$repository" "$reviews"
  environment "$repository" staging develop '[]'
  environment "$repository" production main "[{\"type\": \"User\", \"id\": $id}]"
  call PUT "repos/$repository/actions/permissions/workflow" \
    '{"default_workflow_permissions": "read", "can_approve_pull_request_reviews": false}'
  call PUT "repos/$repository/private-vulnerability-reporting"
  $DRY || say "Rules set for $repository."
}

main "$@"
