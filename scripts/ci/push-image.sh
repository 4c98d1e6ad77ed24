#!/usr/bin/env bash
# Pushes an image under one or more tags without changing a byte: its digest stays the same.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/push-image.sh --source SOURCE --digest sha256:... --images "NAME..." --tags "TAG..." [--dry-run]

  --source SOURCE   oci-archive:FILE.tar, or docker://NAME@sha256:... to give a pushed image more tags
  --digest DIGEST   refuse to push anything else, and check every tag afterwards
  --images "NAME…"  where to, e.g. "ghcr.io/me/app docker.io/me/app"
  --tags "TAG…"     e.g. "main sha-0123456789ab"

Log in first (scripts/ci/registry-login.sh). Needs skopeo. SKOPEO_OPTIONS is handed on to
`skopeo copy`, e.g. --dest-tls-verify=false for a registry on this machine.
Exit status: 0 every tag is there, anything else: not all are; do it again.
USAGE
}

main() {
  local source="" digest="" images="" tags="" dry=false
  while (($#)); do
    case $1 in
      --source) source=${2:?--source needs one} && shift ;;
      --digest) digest=${2:?--digest needs one} && shift ;;
      --images) images=${2:?--images needs a name} && shift ;;
      --tags) tags=${2:?--tags needs a tag} && shift ;;
      --dry-run) dry=true ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/push-image.sh --help lists them all" ;;
    esac
    shift
  done
  [[ -n $source && -n $images && -n $tags ]] || fail "--source, --images and --tags are needed"
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "--digest must be sha256: and 64 hexadecimal digits"

  local image tag lines=""
  for image in $images; do
    for tag in $tags; do
      if $dry; then
        say "would push $digest as $image:$tag"
      else
        push "$source" "$digest" "$image:$tag"
      fi
      lines+="- \`$image:$tag\`"$'\n'
    done
  done
  $dry || python3 "$ROOT/scripts/ci/summary.py" text "## Pushed $digest"$'\n\n'"$lines"
}

# push SOURCE DIGEST NAME:TAG
push() {
  local arrived from=$1
  case $from in
    oci-archive:*) python3 "$ROOT/scripts/ci/oci.py" verify "${from#oci-archive:}" "$2" ;;
    docker://*@"$2") ;;
    *) fail "the source must be an archive, or an image by the digest $2" ;;
  esac
  local options=()
  read -ra options <<<"${SKOPEO_OPTIONS:-}"
  skopeo --insecure-policy copy --quiet --all --preserve-digests --retry-times 3 \
    --digestfile "$ROOT/.run/pushed-digest" "${options[@]+"${options[@]}"}" "$from" "docker://$3"
  arrived=$(<"$ROOT/.run/pushed-digest")
  [[ $arrived == "$2" ]] || fail "$3 arrived as $arrived, not as $2"
  say "pushed $3 as $arrived"
}

mkdir -p "$ROOT/.run"
main "$@"
