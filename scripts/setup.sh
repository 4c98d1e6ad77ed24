#!/usr/bin/env bash
# From a fresh clone to a running service; --help says how.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scripts/lib/local.sh
source "$here/lib/local.sh"
# shellcheck source=scripts/lib/stack.sh
source "$here/lib/stack.sh"

usage() {
  echo "From a fresh clone to a running service."
  echo
  stack_usage
  echo
  local_usage
  echo
  own_usage
}

own_usage() {
  cat <<'USAGE'
The clone made your own:
  ./scripts/setup.sh --name NAME [--holder HOLDER]

  --name NAME      put NAME wherever the service's name stands: image, Compose project, dashboards,
                   docs; lower-case letters, digits and hyphens, e.g. my-service
  --holder HOLDER  name HOLDER in the licence, above the notice that came with the clone
                   Neither commits anything: look at it with git diff.

Exit status: 0 done; 1 refused or failed, one line says why; 3 --status: it does not run.
USAGE
}

main() {
  local argument python local=false rest=()
  for argument in "$@"; do
    case $argument in
      -h | --help)
        usage
        return
        ;;
      --name | --name=* | --holder | --holder=*)
        python=$(find_python)
        exec "$python" "$LIB/rename.py" "$@"
        ;;
      --local) local=true ;;
      *) rest+=("$argument") ;;
    esac
  done
  cd "$ROOT"

  if $local; then
    local_main "${rest[@]+"${rest[@]}"}"
  else
    stack_main "${rest[@]+"${rest[@]}"}"
  fi
}

main "$@"
