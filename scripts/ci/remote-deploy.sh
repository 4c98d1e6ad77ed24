#!/usr/bin/env bash
# Deploys over SSH: brings the host's files to a commit, then runs scripts/deploy.sh there.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/remote-deploy.sh --image NAME@sha256:... [--commit SHA] [--allow-older]
                                   [--strategy blue-green|canary]
       scripts/ci/remote-deploy.sh --rollback

  --commit SHA   whose files go to the host, default HEAD
  --allow-older  replace a newer commit on the host; without it that is refused
  --strategy     default DEPLOY_STRATEGY, else what scripts/deploy.sh chooses

  DEPLOY_HOST         the host; DEPLOY_USER (default deploy) and DEPLOY_PORT (22) go with it
  DEPLOY_PATH         the project's folder there, default /opt/devops-starter
  DEPLOY_SSH_KEY      the private key itself, not its path; without it your agent's keys are used
  DEPLOY_KNOWN_HOSTS  the host's keys, as `ssh-keyscan HOST` prints them; no other host is trusted
  DEPLOY_URL          the service from outside; it must be healthy and run the commit within
                      CHECK_SECONDS (120), otherwise it is rolled back
  RECONNECT_SECONDS   pause before each of five attempts to reconnect, default 15

If the deployment fails, the host's files are put back. If the connection breaks, the deployment goes
on without it: the script reconnects and waits for its end. --rollback puts back the files and then the
version before. Files that git does not track are never touched.
Exit status: that of scripts/deploy.sh there; also 1 if it could not be started (the last line says why).
USAGE
}

connect() {
  CONNECTION=$(mktemp -d)
  trap '[[ -z ${AGENT:-} ]] || kill "$AGENT"; rm -rf "$CONNECTION"' EXIT
  printf '%s\n' "$DEPLOY_KNOWN_HOSTS" >"$CONNECTION/known_hosts"
  SSH=(ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15
    -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$CONNECTION/known_hosts"
    -p "${DEPLOY_PORT:-22}" "${DEPLOY_USER:-deploy}@$DEPLOY_HOST")
  [[ -n ${DEPLOY_SSH_KEY:-} ]] || return 0
  # An agent keeps the key off the disk.
  eval "$(ssh-agent -s)" >/dev/null
  AGENT=$SSH_AGENT_PID
  ssh-add -q - <<<"$DEPLOY_SSH_KEY" || fail "DEPLOY_SSH_KEY is not a private key without a passphrase"
}

# remote COMMAND ARGUMENT...: each stays one word on the other side
remote() {
  local command
  printf -v command '%q ' "$@"
  "${SSH[@]}" "$command"
}

on_host() { remote bash "$DEPLOY_PATH/scripts/ci/on-host.sh" "$DEPLOY_PATH" "$@"; }

# refuse_older COMMIT: runs may overtake each other, e.g. while one waits for its approval
refuse_older() {
  local deployed
  # 255 is ssh's own failure, of which it has said the reason.
  # shellcheck disable=SC2016 # $0 is the host's
  deployed=$(remote sh -c 'cat "$0/.release/commit" 2>/dev/null' "$DEPLOY_PATH") || (($? != 255)) || fail "no connection to $DEPLOY_HOST"
  [[ $deployed != "$1" ]] && git merge-base --is-ancestor "$1" "$deployed" 2>/dev/null || return 0
  fail "$DEPLOY_HOST already runs ${deployed:0:12}, which is newer than ${1:0:12} and contains it; --allow-older goes back"
}

# send_files COMMIT: first beside the files in use, then in their place
send_files() {
  remote mkdir -p "$DEPLOY_PATH/.incoming"
  git archive "$1" | remote tar -x -C "$DEPLOY_PATH/.incoming"
  remote bash "$DEPLOY_PATH/.incoming/scripts/ci/on-host.sh" "$DEPLOY_PATH" receive
}

# deploy_there COMMIT ARGUMENT...: ends with the deployment's status, whatever happens to the connection
deploy_there() {
  local name="${GITHUB_RUN_ID:-local}-$$-$RANDOM" script="$DEPLOY_PATH/scripts/ci/on-host.sh" attempt status=0
  remote env DEPLOYMENT="$name" COMMIT="$1" bash "$script" "$DEPLOY_PATH" deploy "${@:2}" || status=$?
  for attempt in 1 2 3 4 5; do
    # 255 is ssh's own failure; the deployment goes on.
    ((status == 255)) || return "$status"
    say "The connection broke; reconnecting ($attempt of 5)."
    sleep "${RECONNECT_SECONDS:-15}"
    status=0
    on_host watch "$name" || status=$?
  done
  ((status == 255)) || return "$status"
  # The files stay as well: the host may still be running them.
  fail "the connection is lost; $DEPLOY_PATH/.release/deploy.log on $DEPLOY_HOST shows how the deployment ended"
}

# check_outside COMMIT: waits until the service is healthy and runs the commit
check_outside() {
  local end=$((SECONDS + ${CHECK_SECONDS:-120})) health info
  while true; do
    health=$(curl --silent --max-time 5 "$DEPLOY_URL/health") || health="no answer"
    info=$(curl --silent --max-time 5 "$DEPLOY_URL/api/v1/info") || info="no answer"
    if [[ $health =~ \"status\":\ *\"healthy\" && $info =~ \"commit\":\ *\"$1\" ]]; then
      say "$DEPLOY_URL is healthy and runs $1."
      return
    fi
    ((SECONDS < end)) || break
    sleep 2
  done
  say "$DEPLOY_URL is not healthy with $1: $health $info"
  return 1
}

roll_back() {
  on_host undo
  deploy_there "" --rollback
}

main() {
  local image="" commit=HEAD strategy=${DEPLOY_STRATEGY:-} older=false rollback=false status=0
  while (($#)); do
    case $1 in
      --image) image=${2:?--image needs a reference} && shift ;;
      --commit) commit=${2:?--commit needs one} && shift ;;
      --allow-older) older=true ;;
      --strategy) strategy=${2:?--strategy needs a name} && shift ;;
      --rollback) rollback=true ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/remote-deploy.sh --help lists them all" ;;
    esac
    shift
  done
  DEPLOY_PATH=${DEPLOY_PATH:-/opt/devops-starter}
  $rollback || [[ $image =~ @sha256:[0-9a-f]{64}$ ]] || fail "--image must name the image by digest: NAME@sha256:..."
  [[ $strategy =~ ^(|blue-green|canary)$ ]] || fail "the strategy must be blue-green or canary, not '$strategy'"
  [[ -n ${DEPLOY_HOST:-} ]] || fail "DEPLOY_HOST is not set: give the environment this variable, e.g. app.example.org"
  [[ -n ${DEPLOY_KNOWN_HOSTS:-} ]] || fail "DEPLOY_KNOWN_HOSTS is not set: put the output of 'ssh-keyscan -p ${DEPLOY_PORT:-22} $DEPLOY_HOST' there"

  cd "$ROOT"
  commit=$(git rev-parse --verify --quiet "$commit^{commit}") || fail "--commit: git knows no such commit here"
  connect
  if $rollback; then roll_back; return; fi
  $older || refuse_older "$commit"
  send_files "$commit"
  deploy_there "$commit" --image "$image" ${strategy:+--strategy "$strategy"} || status=$?
  if ((status != 0)); then
    say "The deployment failed; putting back the files."
    on_host undo
    return "$status"
  fi
  if [[ -z ${DEPLOY_URL:-} ]]; then
    say "The check from outside is skipped: DEPLOY_URL is not set."
  elif ! check_outside "$commit"; then
    roll_back
    fail "the new version did not serve at $DEPLOY_URL; rolled back"
  fi
}

main "$@"
