#!/usr/bin/env bash
# Runs on the deployment host: scripts/deploy.sh, out of reach of the connection it was started over.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: run-on-host.sh FOLDER [--dry-run] [ARGUMENT...]

Shows what `scripts/deploy.sh ARGUMENT...` prints and ends with its status. If the connection breaks,
the deployment still comes to its end, good or rolled back; FOLDER/.release/deploy.log tells which.
Exit status: that of scripts/deploy.sh; 1 too if FOLDER is none.
USAGE
}

main() {
  [[ ${1:-} != --help && ${1:-} != -h ]] || { usage && return; }
  [[ -d ${1:-} ]] || { echo "error: '${1:-}' is no folder; --help shows the usage" >&2 && return 1; }
  cd -- "$1"
  shift
  if [[ ${1:-} == --dry-run ]]; then
    shift
    echo "would run scripts/deploy.sh $* in $PWD"
    return
  fi
  mkdir -p .release
  rm -f .release/deploy.status
  : >.release/deploy.log
  # shellcheck disable=SC2016 # for the inner shell
  setsid bash -c './scripts/deploy.sh "$@" >.release/deploy.log 2>&1; echo $? >.release/deploy.status' \
    deploy "$@" </dev/null >/dev/null 2>&1 &
  tail --follow --lines=+1 --sleep-interval=0.2 --pid=$! .release/deploy.log
  return "$(<.release/deploy.status)"
}

main "$@"
