# Sourced by the scripts: messages, the right Python, and the project's environment in .venv.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LIB="$ROOT/scripts/lib"
VENV="$ROOT/.venv"

# Compiled bytecode is what makes the second start quick.
unset PYTHONDONTWRITEBYTECODE

# Only for a person's eyes, and not against their will (https://no-color.org).
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
  local label="error:"
  [[ ! -t 2 ]] || label=$(colour 31 "$label")
  printf '%s %s\n' "$label" "$*" >&2
  exit 1
}

# PYTHON, else the newest Python on PATH; at least 3.11 and able to make an environment.
find_python() {
  local name path version seen="" without_venv=""
  for name in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3 python}; do
    while IFS= read -r path; do
      version=$("$path" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
      if ! "$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        seen=${seen:-"$version ($path)"}
      elif "$path" -c 'import ensurepip, venv' 2>/dev/null; then
        printf '%s\n' "$path"
        return
      else
        without_venv=${without_venv:-"Python $version ($path)"}
      fi
    done < <(type -aP "$name")
  done
  if [[ -n $without_venv ]]; then
    fail "$without_venv cannot make virtual environments: install python3-venv (apt-get install python3-venv)"
  fi
  fail "Python 3.11 or newer is needed, found ${seen:-none}: install one (apt-get install python3, brew install python) and have it on PATH"
}

# environment_is_current runtime|dev|bench|load
environment_is_current() {
  [[ -x $VENV/bin/python ]] && "$VENV/bin/python" "$LIB/environment.py" check "$1" 2>/dev/null
}

# ensure_environment runtime|dev|bench|load: $VENV holds exactly what is pinned, built only when it does not
ensure_environment() {
  local python
  case $1 in bench | load) VENV="$ROOT/.run/environment-$1" ;; esac
  environment_is_current "$1" && return
  python=$(find_python)
  "$python" "$LIB/environment.py" make "$1"
}
