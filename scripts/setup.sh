#!/usr/bin/env bash
# From a fresh clone to a running service; --help lists the options.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scripts/lib/stack.sh
source "$here/lib/stack.sh"
# shellcheck source=scripts/lib/local.sh
source "$here/lib/local.sh"
# shellcheck source=scripts/lib/kubernetes.sh
source "$here/lib/kubernetes.sh"

usage() {
  cat <<'USAGE'
Usage: ./scripts/setup.sh [--dev] | --status | --down | --reset [--yes]
       ./scripts/setup.sh --local [--port N] [--detach] | --local --status | --local --stop
       ./scripts/setup.sh --kubernetes [--kind] [--image IMAGE] [--namespace NAME] [--down]
       ./scripts/setup.sh --name NAME [--holder HOLDER]

The whole stack in containers (nginx, the service, Redis, Prometheus, Grafana and their exporters):
  (no option)   check the engine, make infrastructure/.env, build, start, wait until all is healthy;
                the first start makes secrets and a development certificate
  --dev         the same for work on the service: source mounted, reload on change, a debugger's port
  --status      print the state of each service; exit status 3 if the stack does not run, 1 if a service is
                stopped or unhealthy
  --down        stop it; data, secrets and settings are kept
  --reset       stop it and delete its data (items, metrics, dashboards' state); asks first unless
                --yes is given. Settings, secrets and certificates are files of yours and are kept
  DOCKER_HOST, DOCKER_CONTEXT   another engine than this machine's

The service on this machine, without containers; needs Python 3.11 or newer:
  --local       build .venv from the pinned requirements, start Gunicorn on 127.0.0.1 and wait until
                it answers; Ctrl-C stops it
  --port N      listen on port N instead of 8080
  --detach      return once the service answers and leave it running; it logs to .run/local.log
  --stop        stop what --detach has started
  --status      print whether it runs and where; exit status 3 if it does not
  REDIS_URL     a Redis to use, e.g. redis://127.0.0.1:6379/0; without it the embedded store is used
                and nothing is kept when the service stops
  Every other setting of the service may be given in the environment as well.

On Kubernetes, by the Helm chart (docs/KUBERNETES.md); needs kubectl and helm:
  --kubernetes      install or upgrade it in the current context, and wait until it is ready
  --kind            make a kind cluster here first, and load the image into it
  --image IMAGE     an image that the nodes have or can pull; without it one is built here
  --namespace NAME  another namespace than devops-starter
  --down            remove the release; its volume and its secrets are kept

The clone made your own:
  --name NAME      replace the service's name everywhere: image, Compose project, dashboards, docs;
                   lower-case letters, digits and hyphens, e.g. my-service
  --holder HOLDER  add HOLDER to the licence, above the notice that came with the clone
                   Neither commits anything: look at it with git diff.

Exit status: 0 done; 1 refused or failed, one line says why; 3 --status: it does not run.
USAGE
}

main() {
  local argument
  for argument in "$@"; do
    case $argument in
      -h | --help) usage && return ;;
      --name | --name=* | --holder | --holder=*) require_writable && run_python "$LIB/rename.py" "$@" ;;
    esac
  done
  cd "$ROOT"
  case " $* " in
    *" --local "*) run_locally "$@" ;;
    *" --kubernetes "*) run_kubernetes "$@" ;;
    *) run_stack "$@" ;;
  esac
}

main "$@"
