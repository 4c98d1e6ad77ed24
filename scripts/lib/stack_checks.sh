# Sourced by stack.sh: what can go wrong, found early and told in one line with its remedy.
# shellcheck shell=bash

# The first versions with what the Compose files use (subpaths of volumes).
ENGINE_AT_LEAST=26.0
COMPOSE_AT_LEAST=2.26
DISK_AT_LEAST_MB=2048
ESSENTIAL="init web nginx redis"

require_engine() {
  local said engine version
  command -v docker >/dev/null \
    || fail "docker is not installed: https://docs.docker.com/engine/install/ (or try ./scripts/setup.sh --local, which needs Python alone)"
  if ! said=$(docker version --format '{{.Server.Version}}' 2>&1); then
    case $said in
      *"permission denied"*) fail "this user may not use the engine: sudo usermod -aG docker ${USER:-$(id -un)}, then log in anew" ;;
      *) fail "the container engine does not answer: start Docker (sudo systemctl start docker, or Docker Desktop); it said: $(last_line "$said")" ;;
    esac
  fi
  engine=$(last_line "$said")
  at_least "$engine" "$ENGINE_AT_LEAST" \
    || fail "Docker Engine $ENGINE_AT_LEAST or newer is needed, this is $engine: https://docs.docker.com/engine/install/"
  version=$(docker compose version --short 2>/dev/null) \
    || fail "Docker Compose is missing: install the package docker-compose-plugin"
  at_least "${version#v}" "$COMPOSE_AT_LEAST" \
    || fail "Docker Compose $COMPOSE_AT_LEAST or newer is needed, this is $version: update the package docker-compose-plugin"
}

# at_least VERSION MINIMUM: by the first two numbers
at_least() {
  local major minor
  IFS=.- read -r major minor _ <<<"$1"
  minor=${minor%%[!0-9]*}
  ((major > ${2%%.*} || (major == ${2%%.*} && ${minor:-0} >= ${2#*.})))
}

last_line() { printf '%s\n' "$1" | tail -n 1; }

require_disk_space() {
  local root free
  root=$(docker info --format '{{.DockerRootDir}}')
  # Of an engine elsewhere, or in a virtual machine, the folder is not to be seen from here.
  [[ -d $root ]] || return 0
  free=$(df -Pm "$root" | awk 'NR == 2 {print $4}')
  ((free >= DISK_AT_LEAST_MB)) \
    || fail "only $free MB are free in $root, and $DISK_AT_LEAST_MB are needed: docker system prune frees what is unused"
}

require_free_ports() {
  local name port
  [[ ${DOCKER_HOST:-unix://} == unix://* ]] || return 0
  for name in HTTP_PORT:8080 HTTPS_PORT:8443 PROMETHEUS_PORT:9090 GRAFANA_PORT:3000 ALERTMANAGER_PORT:9093; do
    port=$(setting "${name%%:*}")
    port=${port:-${name##*:}}
    if (: >"/dev/tcp/127.0.0.1/${port##*:}") 2>/dev/null; then
      fail "port ${port##*:} is taken by another program: set ${name%%:*} in infrastructure/.env to a free one"
    fi
  done
}

# setting NAME: its value in the environment, else in infrastructure/.env, else nothing
setting() {
  printf '%s' "${!1:-$(sed -n "s/^$1=//p" "$STACK_SETTINGS" | tail -n 1)}"
}

# SERVICES: all that can be started. Where an image cannot be had, a service that the others do
# without is left out, and that is said; without an essential one there is nothing to start.
choose_services() {
  local service all_fetched
  say "Fetching images."
  compose pull --quiet --ignore-buildable --policy missing >>"$STACK_LOG" 2>&1 && all_fetched=true || all_fetched=false
  for service in $(compose config --services); do
    if $all_fetched || has_image "$service"; then
      SERVICES+=("$service")
    elif [[ " $ESSENTIAL " == *" $service "* ]]; then
      fail "the image of $service cannot be fetched: $(tail -n 1 "$STACK_LOG")"
    else
      LEFT_OUT+=("$service")
      say "$(colour 33 "Without $service:") its image cannot be fetched."
      # The console links to what runs.
      case $service in
        grafana) export GRAFANA_URL= ;;
        prometheus) export PROMETHEUS_URL= ;;
        alertmanager) export ALERTMANAGER_URL= ;;
      esac
    fi
  done
}

# The essential ones are built here, and checked as such.
has_image() {
  compose pull --quiet --ignore-buildable --policy missing "$1" >>"$STACK_LOG" 2>&1
}
