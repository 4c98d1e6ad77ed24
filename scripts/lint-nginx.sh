#!/usr/bin/env bash
# Checks nginx's configuration: gixy for risky settings, nginx itself for errors.
set -euo pipefail

if (($#)); then
  cat <<'USAGE'
Usage: ./scripts/lint-nginx.sh

gixy (from requirements-dev.txt) analyses docker/nginx with the defaults of docker-compose.yml; then
`nginx -t` reads it in the image that docker-compose.yml names, if a container engine answers and
openssl can make a throw-away certificate. Exit status 1 if either finds anything.
USAGE
  [[ $1 == --help || $1 == -h ]]
  exit
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

analyse() {
  python scripts/lib/nginx_dump.py >"$work/dump.conf" || return 1
  gixy "$work/dump.conf" >"$work/gixy.log" 2>&1 || {
    cat "$work/gixy.log"
    return 1
  }
  echo "gixy: no issue"
}

check_syntax() {
  local image option arguments=()
  image=$(sed -n 's/^ *image: \(nginxinc.*\)/\1/p' infrastructure/docker-compose.yml)
  if ! docker version >/dev/null 2>&1 || ! command -v openssl >/dev/null; then
    echo "nginx -t: NOT RUN, it needs a container engine and openssl"
    return
  fi
  if ! docker image inspect "$image" >/dev/null 2>&1 && ! docker pull --quiet "$image" >/dev/null 2>&1; then
    echo "nginx -t: NOT RUN, the image $image cannot be fetched"
    return
  fi
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
    -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null
  chmod a+rX "$work" "$work"/tls.*
  for option in $(compose_defaults); do arguments+=(--env "$option"); done
  docker run --rm --read-only --user 101:101 --cap-drop ALL --network none \
    --add-host nginx-status:127.0.0.1 "${arguments[@]}" \
    --tmpfs /tmp:uid=101 --tmpfs /etc/nginx/conf.d:uid=101 --volume "$work:/run/secrets:ro" \
    --volume "$PWD/docker/nginx/nginx.conf:/etc/nginx/nginx.conf:ro" \
    --volume "$PWD/docker/nginx/includes:/etc/nginx/includes:ro" \
    --volume "$PWD/docker/nginx/templates:/etc/nginx/templates:ro" \
    --volume "$PWD/docker/nginx/upstreams:/etc/nginx/upstreams:ro" \
    "$image" nginx -t >"$work/nginx.log" 2>&1 || {
    cat "$work/nginx.log"
    return 1
  }
  echo "nginx -t: the configuration is right"
}

# compose_defaults: NAME=value for each variable of the templates
compose_defaults() {
  local name
  for name in $(grep -ohE '\$\{[A-Z_]+\}' docker/nginx/templates/* | tr -d '{}$' | sort -u); do
    sed -nE "s/.*\\\$\{($name):-([^}]*)\}.*/\1=\2/p" infrastructure/docker-compose.yml | head -n 1
  done
}

status=0
analyse || status=1
check_syntax || status=1
exit $status
