# Sourced by setup.sh: the service straight on this machine, in .venv, without containers.
# shellcheck shell=bash

local_usage() {
  cat <<'USAGE'
The service on this machine alone:
  ./scripts/setup.sh --local [--port N] [--detach]
  ./scripts/setup.sh --local --status | --stop

  --local       build .venv from the pinned requirements, start Gunicorn on 127.0.0.1 and wait until
                it answers; needs nothing but Python 3.11 or newer. Ctrl-C stops it.
  --port N      listen on port N instead of 8080
  --detach      return once the service answers and leave it running; it logs to .run/local.log
  --stop        stop what --detach has started
  --status      say whether it runs and where; exit status 3 if it does not

  REDIS_URL     a Redis to use, e.g. redis://127.0.0.1:6379/0; without it the embedded store is used
                and nothing is kept when the service stops
  WEB_CONCURRENCY   number of worker processes
  Every other setting of the service may be given in the environment as well.
USAGE
}

local_main() {
  local action=start port=8080 detach=()
  while (($#)); do
    case $1 in
      --port | --port=*)
        if [[ $1 == --port ]]; then
          (($# > 1)) || fail "--port needs a number, e.g. --port 8081"
          shift
        fi
        port=${1#--port=}
        ;;
      --detach) detach=(--detach) ;;
      --stop) action=stop ;;
      --status) action=status ;;
      *) fail "unknown option $1; ./scripts/setup.sh --help lists them all" ;;
    esac
    shift
  done
  if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65535)); then
    fail "--port needs a number from 1 to 65535, e.g. --port 8081, and not '$port'"
  fi

  local python="$VENV/bin/python" service="$LIB/local_service.py"
  environment_is_current runtime || python=$(find_python)
  case $action in
    start)
      # Before the minute that .venv may take: the port must be free.
      "$python" "$service" check --port "$port" "${detach[@]+"${detach[@]}"}"
      ensure_environment runtime
      exec "$VENV/bin/python" "$service" start --port "$port" "${detach[@]+"${detach[@]}"}"
      ;;
    *) exec "$python" "$service" "$action" ;;
  esac
}
