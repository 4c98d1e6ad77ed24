#!/usr/bin/env bash
# Refuses an image that this repository's own pipeline did not build from the given branch.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/verify-signature.sh --image NAME@sha256:... --branch main [--repository OWNER/NAME] [--dry-run]

Anyone can run it against a published image. --repository defaults to GITHUB_REPOSITORY. Needs
cosign 3 or newer; older ones do not find this form of signature.
Exit status: 0 signed by this repository's pipeline for that branch, 1 not.
USAGE
}

# literally TEXT: the regular expression that matches just this
literally() { printf '%s' "$1" | sed 's/[][(){}.*+?^$|\\]/\\&/g'; }

main() {
  local image="" branch="" repository=${GITHUB_REPOSITORY:-} dry=false workflow signer
  while (($#)); do
    case $1 in
      --image) image=${2:?--image needs a reference} && shift ;;
      --branch) branch=${2:?--branch needs a name} && shift ;;
      --repository) repository=${2:?--repository needs a name} && shift ;;
      --dry-run) dry=true ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/verify-signature.sh --help lists them all" ;;
    esac
    shift
  done
  [[ $image =~ @sha256:[0-9a-f]{64}$ ]] || fail "--image must name the image by digest: NAME@sha256:..."
  [[ -n $branch && -n $repository ]] || fail "--branch and --repository are needed"

  workflow="${GITHUB_SERVER_URL:-https://github.com}/$repository/.github/workflows/docker-build.yml"
  if $dry; then
    say "would ask for a signature of $workflow on $image, made on $branch"
    return
  fi
  if [[ $(cosign version 2>/dev/null) =~ GitVersion:\ +v?([012]\.[0-9.]+) ]]; then
    fail "cosign ${BASH_REMATCH[1]} is too old to find this signature: install cosign 3 (https://docs.sigstore.dev)"
  fi
  # Sigstore names a called workflow by the branch or by the commit it was taken from.
  signer="^$(literally "$workflow")@(refs/heads/$(literally "$branch")|[0-9a-f]{40})\$"
  # The signer alone is not enough: other repositories may call this workflow too.
  cosign verify "$image" --certificate-identity-regexp "$signer" \
    --certificate-github-workflow-repository "$repository" \
    --certificate-github-workflow-ref "refs/heads/$branch" \
    --certificate-oidc-issuer https://token.actions.githubusercontent.com >/dev/null \
    || fail "$image has no valid signature of $workflow on $branch: it is not deployed"
  say "$image is signed by $workflow, on $branch"
}

main "$@"
