#!/usr/bin/env bash
# Builds the image once, for every platform, into a file that later steps scan, test and push.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/build-image.sh --output FILE.tar [--platforms LIST] [--version V] [--cache DIR] [--dry-run]

  --output FILE     where to write the image: an OCI archive
  --platforms LIST  default linux/amd64,linux/arm64; a foreign one needs QEMU registered with the kernel
  --version V       default: scripts/ci/release.py build-version
  --cache DIR       keep BuildKit's cache there between runs; without it everything is built anew
  --dry-run         print the command and stop

The same commit gives the same digest: all times in the image are the commit's.
It needs a Buildx builder that can write OCI archives: docker buildx create --use
Exit status: 0 built, anything else: not built, and the last line says why.
USAGE
}

main() {
  local output="" platforms=linux/amd64,linux/arm64 version="" cache="" run=()
  while (($#)); do
    case $1 in
      --output) output=${2:?--output needs a file} && shift ;;
      --platforms) platforms=${2:?--platforms needs a list} && shift ;;
      --version) version=${2:?--version needs one} && shift ;;
      --cache) cache=${2:?--cache needs a folder} && shift ;;
      --dry-run) run=(echo) ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/build-image.sh --help lists them all" ;;
    esac
    shift
  done
  [[ -n $output ]] || fail "say where to write the image: --output image.tar"

  output=$(realpath --canonicalize-missing "$output")
  [[ -z $cache ]] || cache=$(realpath --canonicalize-missing "$cache")
  cd "$ROOT"
  local commit epoch
  commit=$(git rev-parse HEAD)
  epoch=$(git log -1 --format=%ct)
  version=${version:-$(python3 scripts/ci/release.py build-version)}

  local options=(
    --file docker/Dockerfile
    --platform "$platforms"
    --build-arg "APP_VERSION=$version"
    --build-arg "GIT_COMMIT=$commit"
    --build-arg "BUILD_DATE=$(date --utc --date="@$epoch" +%Y-%m-%dT%H:%M:%SZ)"
    --build-arg "SOURCE_DATE_EPOCH=$epoch"
    # Both would carry this run's time; the pipeline signs its own for the finished digest.
    --provenance=false --sbom=false
    --output "type=oci,dest=$output,rewrite-timestamp=true"
  )
  if [[ -n $cache ]]; then
    [[ ! -f $cache/index.json ]] || options+=(--cache-from "type=local,src=$cache")
    # A local cache only ever grows, so each run writes a new one.
    options+=(--cache-to "type=local,dest=$cache.new,mode=max")
  fi
  "${run[@]+"${run[@]}"}" docker buildx build "${options[@]}" .

  if [[ -n $cache && ${#run[@]} == 0 ]]; then
    rm -rf "$cache"
    mv "$cache.new" "$cache"
  fi
}

main "$@"
