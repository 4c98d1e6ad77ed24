#!/usr/bin/env bash
# Runs on the deployment host, started by remote-deploy.sh: puts files in place and runs scripts/deploy.sh.
#
#   on-host.sh FOLDER receive              the files in FOLDER/.incoming replace those of the release before
#   on-host.sh FOLDER undo                 put back the files of the release before, once
#   on-host.sh FOLDER deploy [ARGUMENT...] run scripts/deploy.sh, show its output, end with its status
#   on-host.sh FOLDER watch NAME           show the deployment that was started with DEPLOYMENT=NAME
#
# Files that git does not track are never touched. A deployment goes on if the connection breaks;
# .release/deploy.log keeps its output, .release/commit the commit that was deployed last (COMMIT).
# shellcheck disable=SC2329 # commands are called by their names
set -euo pipefail
# One sort order for every list, whatever the host's locale.
export LC_ALL=C

fail() { echo "error: $*" >&2 && exit 1; }

# The files of .incoming become those in use. Contents change in place: a container that has one file
# mounted keeps seeing the file it was started with.
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

receive() {
  [[ -d .incoming ]] || fail "nothing has arrived in $PWD/.incoming"
  cp .release/commit .release/commit.before 2>/dev/null || rm -f .release/commit.before
  # The first time in a clone, the files it was cloned with are the release before.
  if [[ ! -f .release/files && -e .git ]]; then
    comm -23 <(git ls-files | sort) <(git ls-files --deleted | sort) | sed 's|^|./|' >.release/files
  fi
  if [[ -f .release/files ]]; then tar -c -f .release/before.tar -T .release/files; else rm -f .release/before.tar; fi
  apply
}

undo() {
  [[ -f .release/before.tar ]] || { echo "There is no release before this one to put back." && return; }
  rm -rf .incoming
  mkdir .incoming
  tar -x -C .incoming -f .release/before.tar
  apply
  rm .release/before.tar
  # Again refuse_older compares with what runs.
  mv .release/commit.before .release/commit 2>/dev/null || rm -f .release/commit
}

deploy() {
  rm -f .release/deploy.status
  : >.release/deploy.log
  # In a session of its own, so that it outlives the connection.
  # shellcheck disable=SC2016 # for the inner shell
  setsid bash -c '
    status=0
    ./scripts/deploy.sh "$@" >.release/deploy.log 2>&1 || status=$?
    ((status)) || [[ -z ${COMMIT:-} ]] || echo "$COMMIT" >.release/commit
    echo $status >.release/deploy.status' deploy "$@" </dev/null >/dev/null 2>&1 &
  echo $! >.release/deploy.pid
  echo "${DEPLOYMENT:-}" >.release/deploy.name
  show
}

watch() {
  # Otherwise the end of an earlier deployment would be taken for this one's.
  [[ -f .release/deploy.name && $(<.release/deploy.name) == "${1:?watch needs a name}" ]] \
    || fail "the deployment $1 was never started here"
  show
}

show() {
  tail --follow --lines=+1 --sleep-interval=0.2 --pid="$(<.release/deploy.pid)" .release/deploy.log
  return "$(<.release/deploy.status)"
}

[[ -d ${1:-} ]] || fail "'${1:-}' is not a folder"
cd -- "$1"
mkdir -p .release
case ${2:-} in
  receive | undo | deploy | watch) "${@:2}" ;;
  *) fail "unknown command '${2:-}'" ;;
esac; exit # on the same line: undo may replace this file while it runs
