#!/usr/bin/env bash
# Logs in to the registries whose credentials are there, and says which images will be pushed.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/registry-login.sh --image ghcr.io/OWNER/NAME [--only | --logout] [--dry-run]

  --only  to that image's registry alone, to read it

  GITHUB_TOKEN, GITHUB_ACTOR            for GitHub's registry
  DOCKERHUB_USERNAME, DOCKERHUB_TOKEN   for Docker Hub; without them it is left out

The output `images` holds the names to push to.
Exit status: 0 logged in (or out), anything else: refused, and the last line says why.
USAGE
}

# log_in REGISTRY USER, the password on stdin
log_in() {
  docker login "$1" --username "$2" --password-stdin >/dev/null 2>"$ROOT/.run/login.log" \
    || fail "$1 refused the login of $2: $(tail -n 1 "$ROOT/.run/login.log")"
}

main() {
  local image="" only=false logout=false dry=false images
  while (($#)); do
    case $1 in
      --image) image=${2:?--image needs a name} && shift ;;
      --only) only=true ;;
      --logout) logout=true ;;
      --dry-run) dry=true ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/registry-login.sh --help lists them all" ;;
    esac
    shift
  done
  [[ -n $image ]] || fail "say which image: --image ghcr.io/owner/name"
  images=$image
  if ! $only && [[ -n ${DOCKERHUB_USERNAME:-} && -n ${DOCKERHUB_TOKEN:-} ]]; then
    images+=" docker.io/$DOCKERHUB_USERNAME/${image##*/}"
  fi
  if $dry; then
    say "would use $images"
    return
  fi
  if $logout; then
    docker logout "${image%%/*}" >/dev/null
    docker logout docker.io >/dev/null
    return
  fi

  mkdir -p "$ROOT/.run"
  [[ -n ${GITHUB_TOKEN:-} ]] || fail "GITHUB_TOKEN is not set: ${image%%/*} cannot be logged in to"
  log_in "${image%%/*}" "${GITHUB_ACTOR:-token}" <<<"$GITHUB_TOKEN"
  if [[ $images == *docker.io/* ]]; then
    log_in docker.io "$DOCKERHUB_USERNAME" <<<"$DOCKERHUB_TOKEN"
  elif ! $only; then
    python3 "$ROOT/scripts/ci/summary.py" text \
      "Docker Hub is skipped: the variable DOCKERHUB_USERNAME or the secret DOCKERHUB_TOKEN is not set."
  fi
  say "images=$images" >>"${GITHUB_OUTPUT:-/dev/stdout}"
}

main "$@"
