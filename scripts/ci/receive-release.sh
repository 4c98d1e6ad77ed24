#!/usr/bin/env bash
# Runs on the deployment host: puts the files that arrived in .incoming in their place, or back.
set -euo pipefail
# One order for every list, whatever the host speaks.
export LC_ALL=C

usage() {
  cat <<'USAGE'
Usage: receive-release.sh FOLDER [--undo] [--dry-run]

Takes what lies in FOLDER/.incoming into FOLDER, and removes what the release before had and this one
has not. Other files stay as they are. --undo puts back the release before, once.
Exit status: 0 done, anything else: nothing usable has arrived, or it could not be put in place.
USAGE
}

# apply: the files of .incoming become those in use; contents change in place, because a container
# that has one file mounted goes on seeing the file it was started with.
apply() {
  local old=.release/files new=.release/files.new gone
  (cd .incoming && find . \( -type f -o -type l \) -print | sort) >"$new"
  if [[ -f $old ]]; then
    while IFS= read -r gone; do
      rm -f -- "$gone"
      rmdir -p --ignore-fail-on-non-empty -- "$(dirname "$gone")" 2>/dev/null || true
    done < <(comm -23 "$old" "$new")
  fi
  cp -R --preserve=mode,timestamps .incoming/. .
  mv "$new" "$old"
  rm -r .incoming
}

main() {
  [[ ${1:-} != --help && ${1:-} != -h ]] || { usage && return; }
  [[ -n ${1:-} && $1 != -* ]] || { echo "error: '${1:-}' is no folder; --help shows the usage" >&2 && return 1; }
  local folder=$1 undo=false dry=false
  shift
  while (($#)); do
    case $1 in
      --undo) undo=true ;;
      --dry-run) dry=true ;;
      *) echo "error: unknown option $1" >&2 && return 1 ;;
    esac
    shift
  done
  if $dry; then
    echo "would $($undo && echo "put back the release before" || echo "take in .incoming") in $folder"
    return
  fi

  cd "$folder"
  mkdir -p .release
  # The first time in a clone: what it was cloned with is the release before.
  if [[ ! -f .release/files && -e .git ]]; then
    comm -23 <(git ls-files | sort) <(git ls-files --deleted | sort) | sed 's|^|./|' >.release/files
  fi
  if $undo; then
    if [[ ! -f .release/before.tar ]]; then
      echo "There is no release before this one to put back."
      return
    fi
    rm -rf .incoming
    mkdir .incoming
    tar -x -C .incoming -f .release/before.tar
    apply
    rm .release/before.tar
    return
  fi
  [[ -d .incoming ]] || { echo "error: nothing has arrived in $folder/.incoming" >&2 && return 1; }
  if [[ -f .release/files ]]; then
    tar -c -f .release/before.tar -T .release/files
  else
    rm -f .release/before.tar
  fi
  apply
}

main "$@"
