#!/bin/sh
# Before Redis starts: its users with the digests of their passwords, and, with Sentinel, whom to follow.
#
# /etc/redis has the files of docker/redis, /passwords one file for each user; /run/redis gets the result,
# /run/exporter the password of the exporter.
# PODS names all pods of Redis, most likely primary first; empty without Sentinel. /data outlives the pod.
set -eu

password() { tr -d '\n' <"/passwords/redis_$1_password"; }

sed -e '/^#/d' -e '/^$/d' /etc/redis/users.acl | sed -e ':a' -e 'N' -e '$!ba' -e 's/\n  / /g' >/run/redis/users.acl
for user in app jobs exporter operator; do
  digest=$(password $user | sha256sum)
  sed -i "s/#[$]$user /#${digest%% *} /" /run/redis/users.acl
done
secret=$(password exporter | sed 's/[\\"]/\\&/g')
printf '{"redis://exporter@127.0.0.1:6379": "%s"}' "$secret" >/run/exporter/passwords.json
: >/run/redis/extra.conf
[ -n "$PODS" ] || exit 0

secret=$(password replication)
digest=$(password replication | sha256sum)
{
  # What a replica and a Sentinel need (redis.io/docs, "Access Control List"), and what redis-leave.sh does.
  echo "user replication on #${digest%% *} resetkeys resetchannels -@all +psync +replconf +ping"
  echo "user sentinel on #${digest%% *} resetkeys allchannels -@all +multi +exec +slaveof +ping +subscribe +publish +config|rewrite +role +info +client|setname +client|kill +client|pause +script|kill"
} >>/run/redis/users.acl

# Each pod has a Service, whose address stays: by name, Redis and Sentinel would stand still for each look-up
# while a name server is away, and take the others for dead.
address() { getent hosts "$1" | { read -r first _ && echo "$first"; }; }

# A Sentinel that answers knows the primary. If none does, all were down: the one that this pod knew last. At the
# very first start: the first pod.
primary="" own="" all=""
for pod in $PODS; do
  one=$(address "$pod")
  all="$all $one"
  case $pod in "$(hostname)".*) own=$one ;; esac
  [ -z "$primary" ] || continue
  primary=$(redis-cli -h "$pod" -p 26379 -t 1 --raw sentinel get-master-addr-by-name primary 2>/dev/null | head -n 1) || primary=""
  case $primary in *.*.*.*) ;; *) primary="" ;; esac
done
[ -n "$primary" ] || [ ! -e /data/sentinel.conf ] || primary=$(sed -n 's/^sentinel monitor primary \([^ ]*\) .*/\1/p' /data/sentinel.conf)
[ -n "$primary" ] || primary=$(address "${PODS%% *}")

{
  echo "replica-announce-ip $own"
  echo "masteruser replication"
  echo "masterauth $secret"
  # A primary without a replica that keeps up refuses writes: cut off, it would take some that are lost later.
  echo "min-replicas-to-write 1"
  echo "min-replicas-max-lag 3"
  [ "$primary" = "$own" ] || echo "replicaof $primary 6379"
} >>/run/redis/extra.conf

# Sentinel keeps what it learns in this file, and its own name: under a new one, the others would count it twice and
# wait for a majority that does not exist.
# It asks the primary for its replicas every 10 s only: were that one gone before, it would never learn of them.
[ -e /data/sentinel.conf ] || cat >/data/sentinel.conf <<SENTINEL
port 26379
sentinel announce-ip $own
sentinel monitor primary $primary 6379 2
sentinel down-after-milliseconds primary 4000
sentinel failover-timeout primary 20000
sentinel parallel-syncs primary 1
$(for one in $all; do [ "$one" = "$primary" ] || echo "sentinel known-replica primary $one 6379"; done)
SENTINEL
# The password may have changed. Who has none may ask, and say what other Sentinels say.
sed -i -e '/^user /d' -e '/^sentinel auth-/d' /data/sentinel.conf
cat >>/data/sentinel.conf <<SENTINEL
user default on nopass resetkeys allchannels -@all +ping +hello +auth +info +role +subscribe +psubscribe +publish +client|setinfo +client|setname +sentinel|get-master-addr-by-name +sentinel|masters +sentinel|master +sentinel|replicas +sentinel|slaves +sentinel|sentinels +sentinel|is-master-down-by-addr
user replication on #${digest%% *} resetkeys resetchannels -@all +sentinel|failover
sentinel auth-user primary sentinel
sentinel auth-pass primary $secret
SENTINEL
