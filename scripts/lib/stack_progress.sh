# Sourced by stack.sh: long work with a line of progress each, and failures told in one line.
# shellcheck shell=bash

# logged COMMAND...: its output goes to .run/stack.log, unless it fails
logged() {
  "$@" >>"$STACK_LOG" 2>&1 || explain_failure
}

# The few causes that have a remedy are named; anything else is shown as the engine told it.
explain_failure() {
  local cause
  case $(tail -n 40 "$STACK_LOG") in
    *"no space left on device"*)
      fail "the disk is full: docker system prune frees what is unused"
      ;;
    *"port is already allocated"* | *"address already in use"*)
      cause=$(grep -oE '[0-9.]+:[0-9]+: bind|:[0-9]+ failed' "$STACK_LOG" | grep -oE '[0-9]{2,5}' | tail -n 1)
      fail "port ${cause:-8080} is taken by another program: set another one in infrastructure/.env (HTTP_PORT and its kind)"
      ;;
    *"could not find an available"*"network"* | *"all predefined address pools have been fully subnetted"*)
      fail "the engine has no networks left: docker network prune removes unused ones"
      ;;
    *"failed to resolve source metadata"* | *"no such host"* | *"TLS handshake timeout"*)
      fail "an image cannot be fetched: connect to the network and run this again; $(grep -aE 'ERROR|rror' "$STACK_LOG" | tail -n 1)"
      ;;
  esac
  tail -n 15 "$STACK_LOG" >&2
  fail "that did not work; the whole story is in .run/stack.log"
}

# Start all services and tell of each when it is healthy.
start_and_wait() {
  local compose_process started=$SECONDS told=" " service state
  compose up --detach --no-build --wait "${SERVICES[@]}" >>"$STACK_LOG" 2>&1 &
  compose_process=$!
  say "Starting ${#SERVICES[@]} services."
  while true; do
    while read -r service state; do
      if [[ $state == healthy && $told != *" $service "* ]]; then
        printf '  %-18s healthy after %d s\n' "$service" $((SECONDS - started))
        told+="$service "
      fi
    done < <(compose ps --format '{{.Service}} {{.Health}}' 2>/dev/null)
    kill -0 "$compose_process" 2>/dev/null || break
    sleep 0.5
  done
  wait "$compose_process" || explain_what_is_unhealthy
}

explain_what_is_unhealthy() {
  local service state
  while read -r service state; do
    if [[ $state == unhealthy || $state == exited* ]]; then
      say "$service, its last lines:" >&2
      compose logs --no-log-prefix --tail 5 "$service" >&2
    fi
  done < <(compose ps --all --format '{{.Service}} {{.Health}}{{if not .Health}}{{.State}}{{.ExitCode}}{{end}}' | grep -v 'exited0$')
  explain_failure
}

stack_welcome() {
  local http https prometheus grafana alertmanager
  http=$(published nginx 8080) https=$(published nginx 8443)
  prometheus=$(published prometheus 9090) grafana=$(published grafana 3000)
  alertmanager=$(published alertmanager 9093)
  say
  say "$(colour 32 "All healthy after $SECONDS s.") The service answers on http://$http and https://$https (its certificate is"
  say "for development, unless you have put your own into infrastructure/certs/)."
  say
  [[ -z $grafana ]] || say "  Grafana       http://$grafana   user admin, password: cat infrastructure/secrets/grafana_admin_password"
  [[ -z $prometheus ]] || say "  Prometheus    http://$prometheus"
  [[ -z $alertmanager ]] || say "  Alertmanager  http://$alertmanager"
  say
  say "Try:"
  say "  curl http://$http/health"
  say "  curl http://$http/api/v1/items -d '{\"name\": \"lamp\"}' -H 'Content-Type: application/json' \\"
  say "       -H \"Authorization: Bearer \$(cat infrastructure/secrets/api_token)\""
  say "  curl http://$http/api/v1/items"
  say
  say "Stop: ./scripts/setup.sh --down   Look: ./scripts/setup.sh --status, docker compose logs"
  ((${#LEFT_OUT[@]} == 0)) || say "$(colour 33 "Left out:") ${LEFT_OUT[*]} (the image could not be had; run this again when it can)"
}

# published SERVICE PORT: where it can be reached, or nothing
published() {
  local address
  address=$(compose port "$1" "$2" 2>/dev/null) || return 0
  printf '%s' "${address/0.0.0.0/127.0.0.1}"
}
