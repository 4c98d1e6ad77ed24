#!/usr/bin/env bash
# Installs Debian or Ubuntu packages that are not there yet.
set -euo pipefail

main() {
  local package missing=() as_root=()
  for package in "$@"; do
    case $package in
      -h | --help)
        echo "Usage: scripts/ci/install-packages.sh [--dry-run] PACKAGE..."
        echo "Exit status: 0 all are installed, anything else: not all are."
        return
        ;;
      --dry-run) echo "would install what is missing of: $*" && return ;;
      -*) echo "error: unknown option $package; --help shows the usage" >&2 && return 1 ;;
    esac
    dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed \
      || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || as_root=(sudo)
  "${as_root[@]+"${as_root[@]}"}" apt-get update --quiet=2
  "${as_root[@]+"${as_root[@]}"}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}"
}

main "$@"
