#!/usr/bin/env bash
# Checks nginx's configuration: gixy for risky settings, nginx itself for errors.
set -euo pipefail

if (($#)); then
  cat <<'USAGE'
Usage: ./scripts/lint-nginx.sh

gixy (from requirements-dev.txt) analyses docker/nginx with the defaults of docker-compose.yml; then
`nginx -t` reads it in the image that docker-compose.yml names, if a container engine answers.
Exit status 1 if either finds anything.
USAGE
  [[ $1 == --help || $1 == -h ]]
  exit
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run NAME COMMAND...: what it prints is shown only if it fails
run() {
  local log="$work/$1.log"
  "${@:2}" >"$log" 2>&1 && echo "$1: no issue" && return
  cat "$log"
  return 1
}

check_syntax() {
  local image
  image=$(sed -n 's/^ *image: \(nginxinc.*\)/\1/p' infrastructure/docker-compose.yml)
  if ! docker version >/dev/null 2>&1; then
    echo "nginx -t: NOT RUN, it needs a container engine"
    return
  fi
  if ! docker image inspect "$image" >/dev/null 2>&1 && ! docker pull --quiet "$image" >/dev/null 2>&1; then
    echo "nginx -t: NOT RUN, the image $image cannot be fetched"
    return
  fi
  run "nginx -t" docker run --rm --user 0 --network none --add-host nginx-status:127.0.0.1 \
    --volume "$work:/run/secrets:ro" --entrypoint sh "$image" \
    -c 'nginx -t -c /run/secrets/nginx/nginx.conf'
}

python scripts/lib/nginx_dump.py "$work/nginx" >"$work/dump.conf"
status=0
run gixy gixy "$work/dump.conf" || status=1
check_syntax || status=1
exit $status
