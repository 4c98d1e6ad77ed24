#!/bin/sh
# Before a primary ends: a replica takes over, so that writes pause for a second and not for ten.
#
# Writes are held first, until a replica has them all: what this primary and one replica took after the other's
# promotion would be lost. This pod's own Sentinel ends at the same time, so another one is asked.
read -r REDISCLI_AUTH </passwords/redis_replication_password || :
export REDISCLI_AUTH
redis() { redis-cli --user sentinel "$@"; }
state() { redis info replication | tr -d '\r'; }
is_primary() { state | grep -q '^role:master'; }
behind() { state | awk -F'[:=,]' '/^slave[0-9]/ {if (!seen++ || $9 < least) least = $9} /^master_repl_offset/ {own = $2} END {exit seen && least >= own}'; }

is_primary || exit 0
redis client pause 15000 write
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  behind || break
  sleep 0.1
done
for pod in $PODS; do
  case $pod in "$(hostname)".*) continue ;; esac
  [ "$(redis-cli -h "$pod" -p 26379 -t 1 --user replication sentinel failover primary)" != OK ] || break
done
for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
  is_primary || exit 0
  sleep 1
done
