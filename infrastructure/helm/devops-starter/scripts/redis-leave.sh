#!/bin/sh
# Before a primary ends: let a replica take over, so that writes pause for a second and not for ten. This pod's
# own Sentinel ends at the same time.
read -r REDISCLI_AUTH </passwords/redis_operator_password || :
is_primary() { REDISCLI_AUTH=$REDISCLI_AUTH redis-cli --user operator info replication | grep -q '^role:master'; }
is_primary || exit 0
for pod in $PODS; do
  case $pod in "$(hostname)".*) continue ;; esac
  [ "$(redis-cli -h "$pod" -p 26379 -t 1 sentinel failover primary)" != OK ] || break
done
for _ in 1 2 3 4 5 6 7 8 9 10; do
  sleep 1
  is_primary || exit 0
done
