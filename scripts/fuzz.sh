#!/usr/bin/env bash
# Sends the service requests that a fuzzer makes up, guided by the code they reach (Atheris, libFuzzer).
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: ./scripts/fuzz.sh [--seconds N] [REQUEST]

  --seconds N  for how long, default 60
  REQUEST      a file with one request that it found: send only this one

No server runs: requests go to the application, with the embedded store. What it finds is kept in .run/fuzz. Needs
Python 3.12 to 3.14 on Linux.
Exit status: 0 found nothing, 1 found something, or could not start.
USAGE
}

main() {
  local seconds=60 found
  while (($#)); do
    case $1 in
      --seconds) seconds=${2:?--seconds needs a number} && shift ;;
      -h | --help) usage && return ;;
      -*) fail "unknown option $1; ./scripts/fuzz.sh --help shows the usage" ;;
      *) break ;;
    esac
    shift
  done
  [[ $seconds =~ ^[0-9]+$ ]] || fail "--seconds must be a number, not '$seconds'"
  cd "$ROOT"
  ensure_environment fuzz
  mkdir -p .run/fuzz/corpus
  export APP_ENV=testing REDIS_URL=memory:// API_TOKENS=0123456789abcdef0123456789abcdef
  if (($#)); then
    found=("$1")
  else
    found=("-max_total_time=$seconds" -max_len=2048 .run/fuzz/corpus tests/fuzz/seeds)
  fi
  "$VENV/bin/python" tests/fuzz/fuzz_requests.py -artifact_prefix=.run/fuzz/ "${found[@]}" \
    || fail "it found something: ./scripts/fuzz.sh .run/fuzz/crash-... repeats it"
}

main "$@"
