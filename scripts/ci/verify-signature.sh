#!/usr/bin/env bash
# Refuses an image that this repository's pipeline did not sign on main.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/verify-signature.sh --image NAME@sha256:... [--commit SHA] [--repository OWNER/NAME]

Anyone can run it on a published image. --commit also checks which commit the image was built from.
--repository defaults to GITHUB_REPOSITORY. Needs cosign 3; older ones do not find this form of signature.
Exit status: 0 signed by ci-cd.yml of that repository on main, 1 not.
USAGE
}

main() {
  local image="" commit="" repository=${GITHUB_REPOSITORY:-} signer options
  while (($#)); do
    case $1 in
      --image) image=${2:?--image needs a reference} && shift ;;
      --commit) commit=${2:?--commit needs one} && shift ;;
      --repository) repository=${2:?--repository needs a name} && shift ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/verify-signature.sh --help lists them all" ;;
    esac
    shift
  done
  [[ $image =~ @sha256:[0-9a-f]{64}$ ]] || fail "--image must name the image by digest: NAME@sha256:..."
  [[ -z $commit || $commit =~ ^[0-9a-f]{40}$ ]] || fail "--commit must be all 40 digits of a commit"
  [[ -n $repository ]] || fail "--repository is needed: OWNER/NAME"
  if [[ $(cosign version 2>/dev/null) =~ GitVersion:\ +v?([012]\.[0-9.]+) ]]; then
    fail "cosign ${BASH_REMATCH[1]} is too old to find this signature: install cosign 3 (https://docs.sigstore.dev)"
  fi
  signer="${GITHUB_SERVER_URL:-https://github.com}/$repository/.github/workflows/ci-cd.yml@refs/heads/main"
  options=(--certificate-identity "$signer"
    --certificate-oidc-issuer https://token.actions.githubusercontent.com
    --certificate-github-workflow-repository "$repository"
    --certificate-github-workflow-ref refs/heads/main)
  [[ -z $commit ]] || options+=(--certificate-github-workflow-sha "$commit")
  cosign verify "$image" "${options[@]}" >/dev/null \
    || fail "$image has no valid signature of $signer${commit:+ for commit $commit}: it is not deployed"
  say "$image is signed by $signer${commit:+ for commit $commit}"
}

main "$@"
