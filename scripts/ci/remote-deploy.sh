#!/usr/bin/env bash
# Deploys over SSH: brings the host's files to this commit, then runs scripts/deploy.sh there.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/remote-deploy.sh --image NAME@sha256:... [--strategy blue-green|canary] [--dry-run]
       scripts/ci/remote-deploy.sh --rollback [--dry-run]

  DEPLOY_HOST         the host; DEPLOY_USER (default deploy) and DEPLOY_PORT (22) go with it
  DEPLOY_PATH         the project's folder there, default /opt/devops-starter
  DEPLOY_SSH_KEY      the private key, its text and not its path; without it your own agent's keys are used
  DEPLOY_KNOWN_HOSTS  the host's keys, as `ssh-keyscan HOST` prints them; no other host is trusted
  DEPLOY_STRATEGY     used when --strategy is not given
  RECONNECT_SECONDS   pause before each of five attempts to connect again, default 15

If the deployment fails there, the files are put back as they were. If the connection breaks, the
deployment goes on without it and is looked at again; .release/deploy.log in that folder tells how it
ended. --rollback puts the files back too and then returns to the version before. Files that git does
not track are never touched.
Exit status: that of scripts/deploy.sh there; 1 too if it could not be begun, and the last line says why.
USAGE
}

connect() {
  CONNECTION=$(mktemp -d)
  trap disconnect EXIT
  printf '%s\n' "$DEPLOY_KNOWN_HOSTS" >"$CONNECTION/known_hosts"
  SSH=(ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15
    -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$CONNECTION/known_hosts"
    -p "${DEPLOY_PORT:-22}" "${DEPLOY_USER:-deploy}@$DEPLOY_HOST")
  [[ -n ${DEPLOY_SSH_KEY:-} ]] || return 0
  # An agent keeps the key off the disk.
  eval "$(ssh-agent -s)" >/dev/null
  AGENT=$SSH_AGENT_PID
  ssh-add -q - <<<"$DEPLOY_SSH_KEY" || fail "DEPLOY_SSH_KEY is no private key without a passphrase"
}

disconnect() {
  [[ -z ${AGENT:-} ]] || kill "$AGENT"
  rm -rf "$CONNECTION"
}

# remote COMMAND ARGUMENT...: each stays one word on the other side
remote() {
  local command
  printf -v command '%q ' "$@"
  "${SSH[@]}" "$command"
}

# The files of the commit, as git has them, beside those in use; then in their place.
send_files() {
  remote mkdir -p "$DEPLOY_PATH/.incoming"
  git archive HEAD | remote tar -x -C "$DEPLOY_PATH/.incoming"
  remote bash "$DEPLOY_PATH/.incoming/scripts/ci/receive-release.sh" "$DEPLOY_PATH"
}

put_files_back() { remote bash "$DEPLOY_PATH/scripts/ci/receive-release.sh" "$DEPLOY_PATH" --undo; }

# deploy_there ARGUMENT...: with the status that it ends with there, whatever becomes of the connection.
deploy_there() {
  local name="${GITHUB_RUN_ID:-local}-$$-$RANDOM" script="$DEPLOY_PATH/scripts/ci/run-on-host.sh" attempt status=0
  # In the environment, since after a rollback of the files the script there may be an older one.
  remote env DEPLOYMENT="$name" bash "$script" "$DEPLOY_PATH" "$@" || status=$?
  for attempt in 1 2 3 4 5; do
    # 255 is ssh's own failure; the deployment goes on.
    ((status == 255)) || return "$status"
    say "The connection broke; looking at the deployment again ($attempt of 5)."
    sleep "${RECONNECT_SECONDS:-15}"
    status=0
    remote bash "$script" "$DEPLOY_PATH" --again "$name" || status=$?
  done
  ((status == 255)) || return "$status"
  # The files stay as well: the host may still be running them.
  fail "the connection is lost; $DEPLOY_PATH/.release/deploy.log on $DEPLOY_HOST tells how the deployment ended"
}

main() {
  local image="" strategy=${DEPLOY_STRATEGY:-} rollback=false dry=false status=0
  while (($#)); do
    case $1 in
      --image) image=${2:?--image needs a reference} && shift ;;
      --strategy) strategy=${2:?--strategy needs a name} && shift ;;
      --rollback) rollback=true ;;
      --dry-run) dry=true ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/remote-deploy.sh --help lists them all" ;;
    esac
    shift
  done
  DEPLOY_PATH=${DEPLOY_PATH:-/opt/devops-starter}
  $rollback || [[ $image =~ @sha256:[0-9a-f]{64}$ ]] || fail "--image must name the image by digest: NAME@sha256:..."
  [[ $strategy =~ ^(|blue-green|canary)$ ]] || fail "the strategy must be blue-green or canary, not '$strategy'"
  if $dry; then
    say "would $($rollback && echo "go back" || echo "deploy $image") on ${DEPLOY_HOST:-DEPLOY_HOST}:$DEPLOY_PATH"
    return
  fi
  [[ -n ${DEPLOY_HOST:-} ]] || fail "DEPLOY_HOST is not set: give the environment this variable, e.g. app.example.org"
  [[ -n ${DEPLOY_KNOWN_HOSTS:-} ]] || fail "DEPLOY_KNOWN_HOSTS is not set: put the output of 'ssh-keyscan -p ${DEPLOY_PORT:-22} $DEPLOY_HOST' there"

  cd "$ROOT"
  connect
  if $rollback; then
    put_files_back
    deploy_there --rollback
    return
  fi
  send_files
  deploy_there --image "$image" ${strategy:+--strategy "$strategy"} || status=$?
  if ((status != 0)); then
    say "The deployment failed; putting the files back as they were."
    put_files_back
  fi
  return "$status"
}

main "$@"
