#!/bin/sh
# Before a primary ends: let a replica take over, so that writes pause for a second and not for ten.
read -r REDISCLI_AUTH </passwords/redis_operator_password || :
export REDISCLI_AUTH
is_primary() { redis-cli --user operator info replication | grep -q '^role:master'; }
is_primary || exit 0
REDISCLI_AUTH='' redis-cli -p 26379 sentinel failover primary
for _ in 1 2 3 4 5 6 7 8 9 10; do
  sleep 1
  is_primary || exit 0
done
