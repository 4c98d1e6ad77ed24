# Sourced by setup.sh: the container stack, from a fresh clone to all healthy.
# shellcheck shell=bash

# shellcheck source=scripts/lib/stack_checks.sh
source "$LIB/stack_checks.sh"
# shellcheck source=scripts/lib/stack_progress.sh
source "$LIB/stack_progress.sh"

# From the clone's root, where setup.sh works.
STACK_LOG=.run/stack.log
STACK_SETTINGS=infrastructure/.env
COMPOSE_FILES=()
SERVICES=()
LEFT_OUT=()

stack_usage() {
  cat <<'USAGE'
The whole stack in containers (nginx, the service, Redis, Prometheus, Grafana and what they need):
  ./scripts/setup.sh [--dev]
  ./scripts/setup.sh --status | --down | --reset [--yes]

  (no option)   check the engine, make infrastructure/.env, build, start, wait until all is healthy;
                secrets and a development certificate are made at the first start, once. Leaves
                ./scripts/supervise.sh running until --down, which starts again what gets killed
  --dev         the same for work on the service: source mounted, reload on change, a debugger's port
  --status      say how each service is; exit status 3 if the stack does not run
  --down        stop it; data, secrets and settings are kept
  --reset       stop it and delete its data (items, metrics, dashboards' state); asks first.
                --yes answers. Settings, secrets and certificates are kept: they are files of yours
  DOCKER_HOST, DOCKER_CONTEXT   another engine than this machine's
USAGE
}

stack_main() {
  local action=start dev=false yes=false argument
  for argument in "$@"; do
    case $argument in
      --dev) dev=true ;;
      --status | --down | --reset) action=${argument#--} ;;
      --yes) yes=true ;;
      --port* | --detach | --stop) fail "$argument belongs to --local; ./scripts/setup.sh --help tells more" ;;
      *) fail "unknown option $argument; ./scripts/setup.sh --help lists them all" ;;
    esac
  done
  mkdir -p .run
  : >"$STACK_LOG"
  if $dev; then
    COMPOSE_FILES=(--file infrastructure/docker-compose.yml --file infrastructure/docker-compose.dev.yml)
  fi
  require_engine
  case $action in
    start) stack_start ;;
    status) stack_status ;;
    down) stack_down ;;
    reset) stack_reset "$yes" ;;
  esac
}

compose() {
  docker compose "${COMPOSE_FILES[@]+"${COMPOSE_FILES[@]}"}" "$@"
}

stack_start() {
  local was_running
  was_running=$(compose ps --quiet)
  require_disk_space
  make_settings
  [[ -n $was_running ]] || require_free_ports
  trap 'stack_interrupted "$was_running"' INT TERM
  build_images
  choose_services
  start_and_wait
  trap - INT TERM
  supervise
  stack_welcome
}

# Once, never overwritten: everything in it is optional.
make_settings() {
  [[ -e $STACK_SETTINGS ]] && return
  (umask 077 && cp infrastructure/.env.example "$STACK_SETTINGS")
  local socket
  socket=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) || socket=""
  if [[ $socket == unix://* && $socket != unix:///var/run/docker.sock ]]; then
    printf '\n# Where this engine listens.\nDOCKER_SOCKET=%s\n' "${socket#unix://}" >>"$STACK_SETTINGS"
  fi
  say "Made infrastructure/.env: every setting is in there, with its default."
}

# Before anything is fetched: other services run on the image built here. A version that a deploy
# has put into WEB_IMAGE is run as it is, and never built over.
build_images() {
  local deployed
  deployed=$(setting WEB_IMAGE)
  [[ ${deployed:-devops-starter:local} == devops-starter:local ]] || return 0
  if git rev-parse HEAD >/dev/null 2>&1; then
    # The commit's date and not the clock's: the same commit gives the same image.
    export GIT_COMMIT=${GIT_COMMIT:-$(git rev-parse HEAD)} BUILD_DATE=${BUILD_DATE:-$(git log -1 --format=%cI)}
  fi
  say "Building the images (a minute or two the first time)."
  logged compose --progress plain build
}

# What `docker kill` ends, no restart policy starts again. One supervisor a stack: it holds the lock
# for as long as it runs, and ends when the stack is removed.
supervise() {
  command -v flock >/dev/null || return 0
  (
    flock --timeout 10 9 || exit 0
    exec setsid ./scripts/supervise.sh
  ) 9>.run/supervise.lock >>.run/supervise.log 2>&1 </dev/null &
}

stack_status() {
  if [[ -z $(compose ps --quiet) ]]; then
    say "The stack does not run; ./scripts/setup.sh starts it."
    return 3
  fi
  compose ps --format 'table {{.Service}}\t{{.Status}}\t{{.Image}}'
}

stack_down() {
  compose --profile '*' down --remove-orphans
}

stack_reset() {
  local answer=""
  if [[ $1 != true ]]; then
    [[ -t 0 ]] || fail "--reset deletes all data of the stack: add --yes to do so without being asked"
    read -r -p "Delete all items, metrics and other data of the stack? Type yes: " answer
    [[ $answer == yes ]] || fail "nothing has been deleted"
  fi
  compose --profile '*' down --volumes --remove-orphans
}

# A stack that ran before is left as it is; one that was only just starting is taken away again.
stack_interrupted() {
  trap - INT TERM
  say
  if [[ -z $1 ]]; then
    say "Interrupted: removing what was started."
    compose down >/dev/null 2>&1 || true
  fi
  exit 130
}
