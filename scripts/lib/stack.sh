# Sourced by setup.sh: the container stack, from a fresh clone to all healthy.
# shellcheck shell=bash

# The first versions with what the Compose files use (subpaths of volumes).
ENGINE_AT_LEAST=26.0
COMPOSE_AT_LEAST=2.26
DISK_AT_LEAST_MB=2048
# The service does without any other.
ESSENTIAL=" init web nginx redis "

STACK_LOG=.run/stack.log
STACK_SETTINGS=infrastructure/.env
NO_NETWORK='failed to resolve source metadata|no such host|TLS handshake timeout|[Nn]etwork is unreachable|Temporary failure in name resolution|Connection refused|from versions: none'
COMPOSE_FILES=()
SERVICES=()
LEFT_OUT=()

run_stack() {
  local action=start yes=false argument
  for argument in "$@"; do
    case $argument in
      --dev) COMPOSE_FILES=(--file infrastructure/docker-compose.yml --file infrastructure/docker-compose.dev.yml) ;;
      --status | --down | --reset) action=${argument#--} ;;
      --yes) yes=true ;;
      --port* | --detach | --stop) fail "$argument belongs to --local; ./scripts/setup.sh --help lists the options" ;;
      *) fail "unknown option $argument; ./scripts/setup.sh --help lists them all" ;;
    esac
  done
  require_writable
  : >"$STACK_LOG"
  require_engine
  case $action in
    start) stack_start ;;
    status) stack_status ;;
    down) compose --profile '*' down --remove-orphans ;;
    reset)
      $yes || confirm_reset
      compose --profile '*' down --volumes --remove-orphans
      ;;
  esac
}

# compose ARGUMENT...: with the settings of infrastructure/.env alone; a .env beside compose.yaml is another tool's
compose() {
  local source=(COMPOSE_DISABLE_ENV_FILE=1)
  [[ ! -e $STACK_SETTINGS ]] || source=(COMPOSE_ENV_FILES="$PWD/$STACK_SETTINGS")
  [[ -z ${COMPOSE_ENV_FILES:-}${COMPOSE_DISABLE_ENV_FILE:-} ]] || source=()
  env "${source[@]+"${source[@]}"}" docker compose "${COMPOSE_FILES[@]+"${COMPOSE_FILES[@]}"}" "$@"
}

confirm_reset() {
  local answer
  [[ -t 0 ]] || fail "--reset deletes all data of the stack: add --yes to do so without being asked"
  read -r -p "Delete all items, metrics and other data of the stack? Type yes: " answer
  [[ $answer == yes ]] || fail "nothing has been deleted"
}

stack_status() {
  local troubled
  [[ -n $(compose ps --quiet) ]] || { say "The stack does not run; ./scripts/setup.sh starts it." && return 3; }
  compose ps --all --format 'table {{.Service}}\t{{.Status}}\t{{.Image}}'
  troubled=$(services_that troubled)
  [[ -z $troubled ]] || { say "Not in order: $troubled" && return 1; }
}

# services_that starting|troubled: their names on one line. A container that has ended is in order if it ended with 0
# and its restart policy is "no".
services_that() {
  local ids
  ids=$(compose ps --all --quiet)
  # shellcheck disable=SC2086  # several IDs
  docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}} {{.State.ExitCode}}{{.HostConfig.RestartPolicy.Name}}' $ids \
    | awk -v wanted="$1" '
      $2 == "exited" && $NF == "0no" { next }
      $3 == "starting" { if (wanted == "starting") print $1; next }
      ($2 != "running" || $3 == "unhealthy") && wanted == "troubled" { print $1 }' | sort -u | paste -sd ' ' -
}

# wait_for_health: Compose's own --wait fails for a service whose health check is disabled
wait_for_health() {
  local deadline=$((SECONDS + 180))
  until [[ -z $(services_that starting) ]]; do
    ((SECONDS < deadline)) && [[ -z $(services_that troubled) ]] || return 1
    sleep 0.5
  done
  [[ -z $(services_that troubled) ]]
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
  say "Starting ${#SERVICES[@]} services."
  say "== start" >>"$STACK_LOG"
  compose --progress plain up --detach --no-build "${SERVICES[@]}" 2>&1 | tee -a "$STACK_LOG" \
    | awk '/Healthy/ { print; fflush() }' || explain_failed_start
  wait_for_health || explain_failed_start
  trap - INT TERM
  stack_welcome
}

# A stack that ran before goes on; one that was being started is removed.
stack_interrupted() {
  trap - INT TERM
  if [[ -z $1 ]]; then
    say "Interrupted: removing what was started."
    compose down >/dev/null 2>&1 || true
  fi
  exit 130
}

require_engine() {
  local said version
  command -v docker >/dev/null \
    || fail "docker is not installed: https://docs.docker.com/engine/install/ (or try ./scripts/setup.sh --local, which needs Python alone)"
  if ! said=$(docker version --format '{{.Server.Version}}' 2>&1); then
    said=$(tail -n 1 <<<"$said")
    [[ $said != *"permission denied"* ]] \
      || fail "this user may not use the engine: sudo usermod -aG docker ${USER:-$(id -un)}, then log in again"
    fail "the container engine does not answer: start Docker (sudo systemctl start docker, or Docker Desktop); it said: $said"
  fi
  at_least "$said" "$ENGINE_AT_LEAST" \
    || fail "Docker Engine $ENGINE_AT_LEAST or newer is needed, this is $said: https://docs.docker.com/engine/install/"
  version=$(docker compose version --short 2>/dev/null) \
    || fail "Docker Compose is missing: install the package docker-compose-plugin"
  at_least "${version#v}" "$COMPOSE_AT_LEAST" \
    || fail "Docker Compose $COMPOSE_AT_LEAST or newer is needed, this is $version: update the package docker-compose-plugin"
}

# at_least VERSION MINIMUM
at_least() { printf '%s\n' "$2" "$1" | sort -V -c 2>/dev/null; }

require_disk_space() {
  local root free
  root=$(docker info --format '{{.DockerRootDir}}')
  # An engine elsewhere, or in a virtual machine, has its folder there.
  [[ -d $root ]] || return 0
  free=$(df -Pm "$root" | awk 'NR == 2 {print $4}')
  ((free >= DISK_AT_LEAST_MB)) \
    || fail "only $free MB are free in $root, and $DISK_AT_LEAST_MB are needed: docker system prune removes what is unused"
}

require_free_ports() {
  local name port
  [[ ${DOCKER_HOST:-unix://} == unix://* ]] || return 0
  for name in HTTP_PORT:8080 HTTPS_PORT:8443 PROMETHEUS_PORT:9090 GRAFANA_PORT:3000 ALERTMANAGER_PORT:9093; do
    port=$(setting "${name%%:*}")
    port=${port:-${name##*:}}
    require_free_port "${port##*:}" "${name%%:*}=$((${port##*:} + 1)) in infrastructure/.env"
  done
}

# setting NAME: its value in the environment, else in infrastructure/.env, else nothing
setting() { printf '%s' "${!1:-$(sed -n "s/^$1=//p" "$STACK_SETTINGS" | tail -n 1)}"; }

# Made once and never overwritten: everything in it is optional.
make_settings() {
  local socket
  [[ ! -e $STACK_SETTINGS ]] || return 0
  (umask 077 && cp infrastructure/.env.example "$STACK_SETTINGS")
  socket=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) || socket=""
  if [[ $socket == unix://* && $socket != unix:///var/run/docker.sock ]]; then
    printf '\n# The socket of this engine.\nDOCKER_SOCKET=%s\n' "${socket#unix://}" >>"$STACK_SETTINGS"
  fi
  # Engine 27 has gateway modes, but not the default of .env.example.
  [[ $(docker version --format '{{.Server.Version}}') != 27.* ]] || printf '\nNETWORK_GATEWAY=nat\n' >>"$STACK_SETTINGS"
  say "Made infrastructure/.env: it lists every setting with its default."
}

# A version that a deploy has written to WEB_IMAGE runs as it is and is not built again.
build_images() {
  local deployed
  deployed=$(setting WEB_IMAGE)
  [[ ${deployed:-devops-starter:local} == devops-starter:local ]] || return 0
  if git rev-parse HEAD >/dev/null 2>&1; then
    # The commit's date instead of the clock's: the same commit gives the same image.
    export GIT_COMMIT=${GIT_COMMIT:-$(git rev-parse HEAD)} BUILD_DATE=${BUILD_DATE:-$(git log -1 --format=%cI)}
  fi
  say "Building the images (a minute or two the first time)."
  compose --progress plain build >>"$STACK_LOG" 2>&1 || use_the_image_that_is_here
}

# Without a network, the base image and the packages cannot be had; an image of before can be started.
use_the_image_that_is_here() {
  local image
  image=$(compose config --images web | grep -m 1 devops-starter) || explain_failure
  if ! tail -n 40 "$STACK_LOG" | grep -qE "$NO_NETWORK" || ! docker image inspect "$image" >/dev/null 2>&1; then
    explain_failure
  fi
  say "$(colour 33 "Not built:") no network; the image that is here is started, $image."
}

# Fills SERVICES with all that can be started. A service is left out and named if its image, or that of a
# service it needs, cannot be fetched, unless it is essential.
choose_services() {
  local service image missing
  say "Fetching images."
  say "== fetch" >>"$STACK_LOG"
  compose pull --quiet --ignore-buildable --ignore-pull-failures --policy missing >>"$STACK_LOG" 2>&1 || true
  for service in $(compose config --services); do
    missing=""
    for image in $(compose config --images "$service"); do
      docker image inspect "$image" >/dev/null 2>&1 || missing+=" $image"
    done
    if [[ -z $missing ]]; then
      SERVICES+=("$service")
    elif [[ $ESSENTIAL == *" $service "* ]]; then
      fail "$service cannot start without$missing: connect to the network, or docker load the image, and run this again"
    else
      LEFT_OUT+=("$service")
      say "$(colour 33 "Without $service:") not here and cannot be fetched:$missing"
      # The console links to nothing that does not run.
      case $service in grafana | prometheus | alertmanager) export "$(tr '[:lower:]' '[:upper:]' <<<"$service")_URL=" ;; esac
    fi
  done
}

# The last lines of each service that has failed.
explain_failed_start() {
  local service
  for service in $(services_that troubled); do
    say "$service, its last lines:" >&2
    compose logs --no-log-prefix --tail 5 "$service" >&2
  done
  explain_failure
}

# Causes with a known remedy in one line; for any other, the last lines of the log.
explain_failure() {
  local port
  # Of the step that failed: an image that could not be fetched is no reason for a later one.
  case $(awk '/^== /{text=""} {text=text "\n" $0} END {print text}' "$STACK_LOG" | tail -n 40) in
    *"no space left on device"*) fail "the disk is full: docker system prune removes what is unused" ;;
    *"port is already allocated"* | *"address already in use"*)
      port=$(grep -oE '[0-9.]+:[0-9]+: bind|:[0-9]+ failed' "$STACK_LOG" | grep -oE '[0-9]{2,5}' | tail -n 1)
      fail "port ${port:-8080} is taken by another program: set another one in infrastructure/.env (HTTP_PORT and the like)"
      ;;
    *"could not find an available"*"network"* | *"all predefined address pools have been fully subnetted"*)
      fail "the engine has no networks left: docker network prune removes unused ones"
      ;;
    *"from versions: none"*) fail "packages cannot be fetched: connect to the network, or set PIP_INDEX_URL in infrastructure/.env" ;;
    *"failed to resolve source metadata"* | *"no such host"* | *"TLS handshake timeout"*)
      fail "an image cannot be fetched: connect to the network and run this again; $(grep -aE 'ERROR|rror' "$STACK_LOG" | tail -n 1)"
      ;;
  esac
  tail -n 15 "$STACK_LOG" >&2
  fail "that did not work; .run/stack.log has all of the output"
}

stack_welcome() {
  local http name address
  http=$(published nginx 8080)
  cat <<WELCOME

$(colour 32 "All healthy after $SECONDS s.") The service answers on http://$http and https://$(published nginx 8443)
(with a development certificate, unless you have put your own into infrastructure/certs/).

WELCOME
  for name in grafana:3000 prometheus:9090 alertmanager:9093; do
    address=$(published "${name%:*}" "${name#*:}")
    [[ -z $address ]] || printf '  %-13s http://%s\n' "${name%:*}" "$address"
  done
  compose logs --no-log-prefix --tail 1 alertmanager-config 2>/dev/null || true
  cat <<WELCOME

Grafana's user is admin, with the password in infrastructure/secrets/grafana_admin_password. To try:

WELCOME
  # shellcheck disable=SC2016  # the reader's shell reads the token, so that no secret is shown
  to_try "http://$http" '$(cat infrastructure/secrets/api_token)'
  say "Stop: ./scripts/setup.sh --down   Look: ./scripts/setup.sh --status, docker compose logs"
  ((${#LEFT_OUT[@]} == 0)) || say "$(colour 33 "Left out:") ${LEFT_OUT[*]} (run this again when their images can be fetched)"
}

# published SERVICE PORT: its address, or nothing
published() {
  local address
  address=$(compose port "$1" "$2" 2>/dev/null) || return 0
  printf '%s' "${address/0.0.0.0/127.0.0.1}"
}
