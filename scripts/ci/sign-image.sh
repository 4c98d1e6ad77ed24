#!/usr/bin/env bash
# Signs an image by digest, without a key: the signature names the workflow that made it (Sigstore).
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/sign-image.sh --images "NAME..." --digest sha256:... [--dry-run]

Needs cosign, and an identity: in a workflow the permission `id-token: write`, elsewhere a browser.
Exit status: 0 every image is signed, anything else: not all are.
USAGE
}

main() {
  local images="" digest="" run=() image
  while (($#)); do
    case $1 in
      --images) images=${2:?--images needs a name} && shift ;;
      --digest) digest=${2:?--digest needs one} && shift ;;
      --dry-run) run=(echo) ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/sign-image.sh --help lists them all" ;;
    esac
    shift
  done
  [[ -n $images ]] || fail "say what to sign: --images ghcr.io/owner/name"
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "--digest must be sha256: and 64 hexadecimal digits"

  for image in $images; do
    # --recursive: the image of each platform too, for those who pull one by its own digest.
    "${run[@]+"${run[@]}"}" cosign sign --yes --recursive "$image@$digest"
  done
}

main "$@"
