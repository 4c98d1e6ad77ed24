#!/usr/bin/env bash
# Runs on the deployment host: scripts/deploy.sh, out of reach of the connection it was started over.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: run-on-host.sh FOLDER [--dry-run] [ARGUMENT...]
       run-on-host.sh FOLDER --again NAME

Shows what `scripts/deploy.sh ARGUMENT...` prints and ends with its status. If the connection breaks,
the deployment still comes to its end, good or rolled back; --again shows the one that was started with
DEPLOYMENT=NAME in the environment, from its first line on, and FOLDER/.release/deploy.log keeps it.
Exit status: that of scripts/deploy.sh; 1 too if FOLDER is none, or nothing was started under NAME.
USAGE
}

main() {
  local name=${DEPLOYMENT:-} again=false
  [[ ${1:-} != --help && ${1:-} != -h ]] || { usage && return; }
  [[ -d ${1:-} ]] || { echo "error: '${1:-}' is no folder; --help shows the usage" >&2 && return 1; }
  cd -- "$1"
  shift
  case ${1:-} in
    --dry-run)
      shift
      echo "would run scripts/deploy.sh $* in $PWD"
      return
      ;;
    --again) name=${2:?--again needs a name} again=true && shift 2 ;;
  esac
  mkdir -p .release
  if $again; then
    # Without this, the end of some earlier deployment would be taken for this one's.
    [[ -f .release/deploy.name && $(<.release/deploy.name) == "$name" ]] \
      || { echo "error: the deployment $name was never begun here" >&2 && return 1; }
  else
    rm -f .release/deploy.status
    : >.release/deploy.log
    # shellcheck disable=SC2016 # for the inner shell
    setsid bash -c './scripts/deploy.sh "$@" >.release/deploy.log 2>&1; echo $? >.release/deploy.status' \
      deploy "$@" </dev/null >/dev/null 2>&1 &
    echo $! >.release/deploy.pid
    echo "$name" >.release/deploy.name
  fi
  tail --follow --lines=+1 --sleep-interval=0.2 --pid="$(<.release/deploy.pid)" .release/deploy.log
  return "$(<.release/deploy.status)"
}

main "$@"
