#!/usr/bin/env bash
# Hands the image of an archive to this machine's container engine, unchanged.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/load-image.sh --archive FILE.tar --digest sha256:... --tag NAME:TAG [--dry-run]

Refuses an archive with another digest than the one given. Needs skopeo (apt-get install skopeo).
Exit status: 0 loaded, anything else: refused or not loaded, and the last line says why.
USAGE
}

main() {
  local archive="" digest="" tag="" dry=false
  while (($#)); do
    case $1 in
      --archive) archive=${2:?--archive needs a file} && shift ;;
      --digest) digest=${2:?--digest needs one} && shift ;;
      --tag) tag=${2:?--tag needs a name} && shift ;;
      --dry-run) dry=true ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/load-image.sh --help lists them all" ;;
    esac
    shift
  done
  [[ -n $archive && -n $digest && -n $tag ]] || fail "--archive, --digest and --tag are needed"
  if $dry; then
    say "would load $digest from $archive as $tag"
    return
  fi

  python3 "$ROOT/scripts/ci/oci.py" verify "$archive" "$digest"
  # Through a file: skopeo speaks an API to the engine that is too old for it.
  FOLDER=$(mktemp -d)
  trap 'rm -rf "$FOLDER"' EXIT
  # No policy: the digest just compared is a stronger statement about this file.
  skopeo --insecure-policy --override-os linux copy --quiet \
    "oci-archive:$archive" "docker-archive:$FOLDER/image.tar:$tag"
  docker load --quiet --input "$FOLDER/image.tar" >/dev/null
  docker image inspect --format "loaded {{.Id}} ({{.Os}}/{{.Architecture}}) as $tag" "$tag"
}

main "$@"
