# Sourced by setup.sh: the service on this machine, without containers.
# shellcheck shell=bash

LOCAL_LOG=.run/local.log
# Locked by the process whose ID it contains, with the service's port: an ID that was left over is never
# taken for a running service.
LOCAL_LOCK=.run/local.lock
LOCAL_STOP="./scripts/setup.sh --local --stop"

run_locally() {
  local action=start port=8080 python running used where
  while (($#)); do
    case $1 in
      --local) ;;
      --port) port=${2-} && shift $(($# > 1)) ;;
      --port=*) port=${1#--port=} ;;
      --detach | --stop | --status) action=${1#--} ;;
      *) fail "unknown option $1; ./scripts/setup.sh --help lists them all" ;;
    esac
    shift
  done
  if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65535)); then
    fail "--port needs a number from 1 to 65535, e.g. --port 8081, and not '$port'"
  fi
  require_writable && python=$(any_python)
  exec 9>>"$LOCAL_LOCK"
  if lock "$python"; then
    case $action in
      status) say "Not running." && return 3 ;; # 3: as the Linux Standard Base says
      stop) say "Not running." && return ;;
    esac
    echo "$$ $port" >"$LOCAL_LOCK"
    require_free_port "$port" "--port $((port + 1))" # before the half minute that building .venv may take
    ensure_environment runtime
    start_locally "$port" "$action"
    return
  fi
  read -r running used <"$LOCAL_LOCK"
  where="http://127.0.0.1:$used (process $running)"
  case $action in
    status) say "Running, $where; it $(answers "$used" && echo answers || echo does not answer)." ;;
    stop)
      kill -TERM "$running"
      wait_until lock "$python" || fail "process $running does not end"
      say "Stopped."
      ;;
    *)
      [[ $action == detach && $used == "$port" ]] || fail "it already runs here, $where: $LOCAL_STOP stops it"
      say "It already runs, $where; $LOCAL_STOP stops it."
      ;;
  esac
}

# lock PYTHON: whether it could be locked; by Python, because macOS has no flock(1)
lock() { "$1" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null; }
answers() { curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "http://127.0.0.1:$1/health/live"; }
ended_or_answers() { ! kill -0 "$1" 2>/dev/null || answers "$2"; }
# wait_until COMMAND...: at most a minute, because requests in flight may take 30 s
wait_until() { for _ in {1..600}; do "$@" && return || sleep 0.1; done && return 1; }

# start_locally PORT start|detach
start_locally() {
  local pid status=0
  set -m # gives it a process group of its own: Ctrl-C does not reach it, and it is stopped in order instead
  if [[ $2 == detach ]]; then serve "$1" >"$LOCAL_LOG" 2>&1 & else serve "$1" & fi
  set +m
  pid=$!
  trap 'kill -TERM "$pid" 2>/dev/null || true' INT TERM HUP
  echo "$pid $1" >"$LOCAL_LOCK"
  exec 9>&- # from here on the service alone holds it
  wait_until ended_or_answers "$pid" "$1" || fail "the service does not answer: see $LOCAL_LOG"
  if kill -0 "$pid" 2>/dev/null; then
    local_welcome "http://127.0.0.1:$1"
    if [[ $2 == detach ]]; then say "It runs in the background and logs to $LOCAL_LOG. Stop: $LOCAL_STOP" && return; fi
    say "Ctrl-C stops it."
  fi
  until wait "$pid" || status=$? && ! kill -0 "$pid" 2>/dev/null; do status=0; done # a signal ends wait
  ((status)) || { say "Stopped." && return; }
  if [[ $2 == detach ]]; then tail -n 5 "$LOCAL_LOG" >&2; fi
  fail "the service ended with exit status $status, see above"
}

# No load balancer has to notice that this instance leaves, so there is no time for draining.
# On a terminal the log is for a person.
serve() {
  if [[ -t 1 ]]; then export LOG_FORMAT=${LOG_FORMAT:-text}; fi
  DRAIN_SECONDS=${DRAIN_SECONDS:-0} BIND="127.0.0.1:$1" exec "$VENV/bin/python" -m app </dev/null
}

local_welcome() {
  local token="" kept=""
  # shellcheck disable=SC2016  # the reader's shell fills in the token, so that no secret is shown
  [[ -z ${API_TOKENS:-} ]] || token='${API_TOKENS%%,*}'
  [[ ${REDIS_URL:-memory://} != memory:// ]] || kept=" (embedded store: nothing is kept)"
  cat <<WELCOME

The service answers on $1$kept: / is its console, /docs describes its API. To try:

WELCOME
  to_try "$1" "$token"
}
