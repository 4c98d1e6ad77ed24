#!/usr/bin/env bash
# A folder of infrastructure/terraform: checks, and plan and apply of a stack. clouds.yml runs it, and so can you.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: ./scripts/cloud.sh check CLOUD
       ./scripts/cloud.sh propose|review|drift|apply CLOUD ENVIRONMENT

  check    format, types, a plan with stand-ins for the cloud, and tflint if it is installed; needs no account
  propose  plan without reading what runs: what a pull request changes
  review   plan against what runs
  drift    the same, where a difference is a failure
  apply    asks before it changes anything; in CI (CI=true, no terminal) its environment has asked for an approval

CLOUD: aws, azure, gcp or digitalocean. ENVIRONMENT: its files are CLOUD/ENVIRONMENT.backend.hcl and CLOUD/ENVIRONMENT.tfvars.
TOOL is tofu (default) or terraform. If GITHUB_STEP_SUMMARY is set, plans are added to that file.
Exit status: 0 done; 2 drift; anything else an error.
USAGE
}

tool() { "$TOOL" -chdir="$FOLDER" "$@"; }

check() {
  tool fmt -check -recursive ..
  tool init -backend=false -input=false
  tool validate
  tool test -test-directory=tests
  ! command -v tflint >/dev/null || tflint --chdir="$FOLDER"
}

# plan ARGUMENT...: nothing is locked, because nothing is changed
plan() {
  local status=0 shown
  shown=$(tool plan -input=false -no-color -lock=false -var-file="$ENVIRONMENT.tfvars" "$@") || status=$?
  say "$shown"
  # shellcheck disable=SC2016  # Markdown
  [[ -z ${GITHUB_STEP_SUMMARY:-} ]] || printf '```\n%s\n```\n' "$shown" >>"$GITHUB_STEP_SUMMARY"
  return "$status"
}

main() {
  local command=${1:-} file unasked=()
  case $command in
    check | propose | review | drift | apply) ;;
    -h | --help) usage && return ;;
    *) fail "unknown command ${command:-(none)}; ./scripts/cloud.sh --help shows the usage" ;;
  esac
  TOOL=${TOOL:-tofu} FOLDER="$ROOT/infrastructure/terraform/${2:-}" ENVIRONMENT=${3:-}
  [[ -n ${2:-} && -f $FOLDER/main.tf ]] || fail "there is no cloud '${2:-}': aws, azure, gcp or digitalocean"
  command -v "$TOOL" >/dev/null || fail "$TOOL is not installed (TOOL chooses tofu or terraform)"
  (($# <= 3)) || fail "too many arguments: ${*:4}"
  [[ $command != check ]] || { check && return; }

  [[ -n $ENVIRONMENT ]] || fail "name an environment, such as staging, after ${2}"
  for file in "$ENVIRONMENT.backend.hcl" "$ENVIRONMENT.tfvars"; do
    [[ -f $FOLDER/$file ]] || fail "${FOLDER#"$ROOT/"}/$file is missing: docs/CLOUD.md says what it holds"
  done
  # Without -reconfigure, a second environment would be asked to take over the state of the first.
  tool init -input=false -reconfigure -backend-config="$ENVIRONMENT.backend.hcl"
  case $command in
    propose) plan -refresh=false ;;
    # The status of a difference is 2.
    review) plan -detailed-exitcode || (($? == 2)) ;;
    drift) plan -detailed-exitcode ;;
    apply)
      [[ ${CI:-} != true || -t 0 ]] || unasked=(-input=false -no-color -auto-approve)
      tool apply -var-file="$ENVIRONMENT.tfvars" "${unasked[@]+"${unasked[@]}"}"
      ;;
  esac
}

main "$@"
