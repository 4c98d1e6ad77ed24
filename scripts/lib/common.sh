# Sourced by the scripts: messages, a suitable Python, and the virtual environments.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck disable=SC2034  # for the scripts that source this
LIB="$ROOT/scripts/lib"
VENV="$ROOT/.venv"

# Compiled bytecode makes the second start quick.
unset PYTHONDONTWRITEBYTECODE

# Colour only on a terminal, and not if NO_COLOR is set (https://no-color.org).
COLOURED=""
[[ -t 1 && -z ${NO_COLOR:-} ]] && COLOURED=yes

# colour CODE TEXT
colour() {
  if [[ -n $COLOURED ]]; then
    printf '\033[%sm%s\033[0m' "$1" "$2"
  else
    printf '%s' "$2"
  fi
}

say() { printf '%s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

require_writable() {
  mkdir -p "$ROOT/.run" 2>/dev/null && [[ -w $ROOT && -w $ROOT/.run ]] && return
  fail "$ROOT cannot be written: clone it to a folder of yours"
}

# require_free_port PORT REMEDY
require_free_port() {
  if (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
    fail "port $1 is taken by another program: choose another, e.g. $2"
  fi
}

# any_python: prints the environment's Python, else another that will do for the standard library
any_python() { if [[ -x $VENV/bin/python ]]; then say "$VENV/bin/python"; else find_python; fi; }

# run_python ARGUMENT...: in place of the script
run_python() {
  local python
  python=$(any_python)
  PYTHONPATH="$LIB" exec "$python" "$@"
}

# find_python: prints PYTHON, else the newest Python on PATH; at least 3.11, with the module venv
find_python() {
  local name path version too_old="" no_venv=""
  for name in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3 python}; do
    while IFS= read -r path; do
      version=$("$path" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
      if ! "$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        too_old=${too_old:-"$version ($path)"}
      elif ! "$path" -c 'import ensurepip, venv' 2>/dev/null; then
        no_venv=${no_venv:-"Python $version ($path)"}
      else
        say "$path" && return
      fi
    done < <(type -aP "$name")
  done
  [[ -z $no_venv ]] || fail "$no_venv cannot make virtual environments: install python3-venv (apt-get install python3-venv)"
  fail "Python 3.11 or newer is needed, found ${too_old:-none}: install one (apt-get install python3, brew install python) and have it on PATH"
}

# ensure_environment runtime|dev|bench|sdk|load|checkov|fuzz|terraform: build what is missing or differs from the
# pinned requirements. The last six have environments of their own, and VENV is theirs afterwards.
ensure_environment() {
  local python
  case $1 in
    runtime) PINNED=(requirements.txt) ;;
    dev) PINNED=(requirements.txt requirements-dev.txt) ;;
    # The versions that are shipped come last: they replace those that the peers were locked with.
    bench) PINNED=(tests/performance/requirements.txt requirements-granian.txt) VENV="$ROOT/.run/environment-bench" ;;
    sdk) PINNED=(tests/performance/requirements-sdk.txt) VENV="$ROOT/.run/environment-sdk" ;;
    load) PINNED=(tests/performance/requirements-load.txt) VENV="$ROOT/.run/environment-load" ;;
    checkov) PINNED=(scripts/requirements-checkov.txt) VENV="$ROOT/.run/environment-checkov" ;;
    fuzz) PINNED=(requirements.txt tests/fuzz/requirements.txt) VENV="$ROOT/.run/environment-fuzz" ;;
    terraform) PINNED=(tests/terraform/requirements.txt) VENV="$ROOT/.run/environment-terraform" ;;
  esac
  environment_is_current && return
  python=$(find_python)
  require_writable
  # Locked by Python, because macOS has no flock(1); the lock ends with this subshell.
  (
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    environment_is_current || build_environment "$python"
  ) 9>"$ROOT/.run/environment.lock"
}

# The development environment can run the service, too.
environment_is_current() {
  local stamp
  stamp=$(cat "$VENV/stamp" 2>/dev/null) || return 1
  [[ $stamp == "$(stamp "${PINNED[@]}")" || $stamp == "$(stamp requirements.txt requirements-dev.txt)" ]]
}

# stamp FILE...: place and version of the environment's Python, and a checksum of what is pinned
stamp() { (cd "$ROOT" && "$VENV/bin/python" -c 'import sys; print(sys.prefix, sys.version_info[:2])' && cat "$@" | cksum); }

# build_environment PYTHON: a failure or a signal restores the environment that was there before
build_environment() {
  local log="$ROOT/.run/environment.log" old="$ROOT/.run/environment-old" file
  trap 'rm -rf "$VENV"; [[ ! -e $old ]] || mv "$old" "$VENV"' EXIT
  trap 'exit 130' INT TERM
  say "Building ${VENV#"$ROOT/"} with $("$1" --version) (details: .run/environment.log)" >&2
  rm -rf "$old" && { [[ ! -e $VENV ]] || mv "$VENV" "$old"; }
  "$1" -m venv "$VENV" >"$log" 2>&1 || fail "no virtual environment could be made: $(tail -n 1 "$log")"
  for file in "${PINNED[@]}"; do
    install_requirements "$ROOT/$file" >>"$log" 2>&1 || fail "the pinned requirements could not be installed" \
      "($(grep -iE '^ *(error|caused by)' "$log" | tail -n 1)): check the network, or set PIP_INDEX_URL to an index that this machine can reach"
  done
  stamp "${PINNED[@]}" >"$VENV/stamp"
  trap - EXIT
  rm -rf "$old"
}

# install_requirements FILE: of pip's settings those that say how to reach an index hold, and none that would
# send packages elsewhere. uv reads none of them, so it is used where there are none.
install_requirements() {
  local settings compile=--compile
  # The schemas of Terraform's providers, a gigabyte of Python, are read and not run.
  [[ $1 != */tests/terraform/* ]] || compile=--no-compile
  settings=$("$VENV/bin/python" -m pip config list | grep -vE "config-file=|=''\$") || true
  if [[ -z $settings ]] && command -v uv >/dev/null; then
    uv pip install --python "$VENV/bin/python" "$compile-bytecode" --require-hashes --no-deps -r "$1"
  else
    PIP_USER=0 PIP_CONSTRAINT=/dev/null PIP_RETRIES=1 "$VENV/bin/python" -m pip install \
      --target= --prefix="$VENV" --root=/ --require-hashes --no-deps "$compile" -r "$1"
  fi
}

# to_try URL TOKEN: what somebody runs first; TOKEN is what their shell makes a token of, if one is needed
to_try() {
  local token=${2:+"-H \"Authorization: Bearer $2\" "}
  cat <<COMMANDS
  curl $1/health
  curl -X PUT $token-H 'Content-Type: application/json' -d '{"hello": "world"}' '$1/api/v1/cache/greeting?ttl=60'
  curl $1/api/v1/cache/greeting

COMMANDS
}
