#!/usr/bin/env bash
# Puts a certificate into service without a reload, and proves that it is served.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scripts/lib/stack.sh
source "$here/lib/stack.sh"

usage() {
  cat <<'USAGE'
Usage: ./scripts/renew-certificate.sh CERTIFICATE KEY

CERTIFICATE is a PEM file with its chain, KEY its private key. Without arguments they are taken from
RENEWED_LINEAGE, so that this is a deploy hook of certbot. They replace tls.crt and tls.key in
infrastructure/certs (CERTS names another folder); no connection is closed.

Exit status: 0 the new certificate is served; 1 refused or not served, the one before is in its place.
USAGE
}

main() {
  local certificate=${1-${RENEWED_LINEAGE-}/fullchain.pem} key=${2-${RENEWED_LINEAGE-}/privkey.pem}
  [[ ${1-} != --help && ${1-} != -h ]] || { usage && return; }
  [[ -r $certificate && -r $key ]] || fail "cannot read $certificate and $key: give a certificate and its key"
  certificate=$(realpath "$certificate") key=$(realpath "$key")
  cd "${CERTS:-$ROOT/infrastructure/certs}" 2>/dev/null && [[ -e tls.crt && -e tls.key ]] \
    || fail "there is no certificate to replace: start the stack first (./scripts/setup.sh)"
  before=$(mktemp -d)
  cp -p tls.crt tls.key "$before"
  # Also after Ctrl-C, which may not come between the two: what it does not end would go on beside the trap.
  # Interrupted between creating and starting a container, Compose leaves it.
  trap 'cp -p "$before"/* . && rm -r "$before" && hand_out 2>/dev/null || :
    docker ps --all --quiet --filter "name=init-run-$$-" | xargs -r docker rm --force >/dev/null' EXIT
  trap '' INT TERM
  install -m 644 "$certificate" tls.crt && install -m 600 "$key" tls.key
  trap - INT TERM
  if ! hand_out || [[ $(fingerprint <tls.crt) != $(served | fingerprint) ]]; then
    fail "it is not served: the certificate before it is again (the reason is above, or in docker compose logs edge-exporter)"
  fi
  trap - EXIT
  rm -r "$before"
  say "nginx serves the new certificate, valid until $(openssl x509 -noout -enddate <tls.crt | cut -d= -f2)."
}

# init refuses a pair that does not match, and then changes nothing.
hand_out() (cd "$ROOT" && compose run --rm --no-deps --name "init-run-$$-$RANDOM" init >&2)

served() {
  local address
  address=$(cd "$ROOT" && compose port nginx 8443)
  openssl s_client -connect "${address/0.0.0.0/127.0.0.1}" </dev/null 2>/dev/null
}

fingerprint() { openssl x509 -noout -fingerprint -sha256; }

main "$@"
