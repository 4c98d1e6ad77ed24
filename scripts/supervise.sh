#!/usr/bin/env bash
# Starts containers of the running stack again that were killed; --help says why that is needed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"

LABEL=com.docker.compose.project

usage() {
  cat <<'USAGE'
Usage: ./scripts/supervise.sh [--project NAME]

Starts each container of the stack again, within seconds, that ended by a signal sent through the
engine (`docker kill`, `docker compose kill`, or a tool that does the same). The engine restarts by
itself whatever crashes, runs out of memory or is killed by a process of the host, but takes those
for a wish to end it, whatever the restart policy. What `docker stop` or `docker compose stop`
stopped stays so, and nothing is restarted whose restart policy is "no".

Runs on the host, with the rights of whoever starts it, until Ctrl-C or until the stack is removed
(`docker compose down`). docs/DEPLOYMENT.md has a unit for systemd.

  --project NAME  of Compose; default COMPOSE_PROJECT_NAME, else devops-starter

Exit status: 0 the stack is gone; 1 there is none, or no engine; 130 Ctrl-C, 143 SIGTERM
USAGE
}

main() {
  local project=${COMPOSE_PROJECT_NAME:-devops-starter}
  while (($#)); do
    case $1 in
      --project) project=${2:?--project wants a name} && shift ;;
      -h | --help)
        usage
        return
        ;;
      *) fail "unknown option $1; ./scripts/supervise.sh --help lists them all" ;;
    esac
    shift
  done

  trap 'kill $(jobs -p) ${WATCH:-} 2>/dev/null' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  stack_exists "$project" || fail "no stack of the project $project is here: start it first (./scripts/setup.sh)"
  say "Watching the containers of $project."
  while true; do
    watch_deaths "$project"
    # The engine restarts, or the connection to it broke.
    until docker version >/dev/null 2>&1; do sleep 1; done
    stack_exists "$project" || break
  done
}

stack_exists() { [[ -n $(docker ps --all --quiet --filter "label=$LABEL=$1") ]]; }

watch_deaths() {
  local action id when
  exec 3< <(docker events --filter type=container --filter "label=$LABEL=$1" \
    --filter event=die --filter event=destroy --format '{{.Action}} {{.Actor.ID}} {{.Time}}')
  WATCH=$!
  while read -r action id when; do
    if [[ $action == die ]]; then
      revive "$id" "$when" &
    elif ! stack_exists "$1"; then
      say "The stack has been removed."
      exit 0
    fi
  done <&3
  exec 3<&-
}

# revive CONTAINER TIME: unless it was stopped, which the engine tells just before or after its end
revive() {
  local state
  [[ -z $(docker events --since "$(($2 - 2))" --until "$(($2 + 2))" --filter "container=$1" --filter event=stop) ]] || return 0
  state=$(docker inspect --format '{{.State.Status}} {{.HostConfig.RestartPolicy.Name}} {{.Name}}' "$1" 2>/dev/null) || return 0
  case $state in
    "exited no "* | "exited  "*) ;;
    exited*)
      docker start "$1" >/dev/null && say "$(date +%T) ${state##*/} was killed, and is started again"
      ;;
  esac
}

main "$@"
