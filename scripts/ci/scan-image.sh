#!/usr/bin/env bash
# Looks for known vulnerabilities in an image, on every platform, and lists what is in it.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/scan-image.sh (--archive FILE.tar [--digest sha256:...] | --image REF [--if-published])
                              [--output DIR] [--dry-run]

  --archive FILE   an archive that scripts/ci/build-image.sh wrote
  --digest DIGEST  refuse an archive that has another one
  --image REF      an image in a registry, for amd64
  --if-published   where the registry has none of that name, say so and be content
  --output DIR     default .run/scan; per platform NAME: NAME.json, NAME.sarif, NAME.spdx.json (the SBOM)

Fails if a HIGH or CRITICAL vulnerability has a fix; .trivyignore.yaml holds the exceptions, each with
a reason and a last day. Needs trivy, and skopeo for archives and --if-published.
Exit status: 0 nothing serious, anything else: something is, or it could not be scanned.
USAGE
}

# scan NAME TRIVY_ARGUMENT...
scan() {
  local name=$1
  shift
  trivy image --quiet --scanners vuln --ignorefile .trivyignore.yaml \
    --format json --output "$OUTPUT/$name.json" "$@"
  trivy convert --quiet --format sarif --output "$OUTPUT/$name.sarif" "$OUTPUT/$name.json"
  trivy image --quiet --format spdx-json --output "$OUTPUT/$name.spdx.json" "$@"
}

scan_archive() {
  local archive=$1 platforms platform machine
  platforms=$(python3 scripts/ci/oci.py platforms "$archive")
  for platform in $platforms; do
    machine=${platform#*/}
    say "Scanning $platform"
    # Trivy reads one platform at a time.
    skopeo --insecure-policy --override-os linux --override-arch "$machine" \
      copy --quiet "oci-archive:$archive" "docker-archive:$OUTPUT/$machine.tar"
    scan "$machine" --input "$OUTPUT/$machine.tar"
    rm "$OUTPUT/$machine.tar"
  done
}

# published REF: registries name what is not there in one of three ways; GitHub's says "denied".
published() {
  local answer
  answer=$(skopeo inspect --raw "docker://$1" 2>&1 >/dev/null) && return
  grep -qiE 'manifest unknown|name unknown|denied' <<<"$answer" \
    || fail "the registry of $1 does not say whether it is there: $(tail -n 1 <<<"$answer")"
  return 1
}

main() {
  local archive="" digest="" image="" optional=false dry=false
  OUTPUT=$ROOT/.run/scan
  while (($#)); do
    case $1 in
      --archive) archive=$(realpath --canonicalize-missing "${2:?--archive needs a file}") && shift ;;
      --digest) digest=${2:?--digest needs one} && shift ;;
      --image) image=${2:?--image needs a reference} && shift ;;
      --if-published) optional=true ;;
      --output) OUTPUT=$(realpath --canonicalize-missing "${2:?--output needs a folder}") && shift ;;
      --dry-run) dry=true ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/scan-image.sh --help lists them all" ;;
    esac
    shift
  done
  [[ -n $archive || -n $image ]] || fail "say what to scan: --archive image.tar or --image REF"
  if $dry; then
    say "would scan ${archive:-$image} into $OUTPUT"
    return
  fi

  cd "$ROOT"
  mkdir -p "$OUTPUT"
  rm -f "$OUTPUT"/*.json "$OUTPUT"/*.sarif "$OUTPUT"/*.tar
  if $optional && [[ -n $image ]] && ! published "$image"; then
    python3 scripts/ci/summary.py text "The scan of $image is skipped: nothing has been published under that name."
    return
  fi
  if [[ -n $archive ]]; then
    [[ -z $digest ]] || python3 scripts/ci/oci.py verify "$archive" "$digest"
    scan_archive "$archive"
  else
    scan amd64 "$image"
  fi
  local reports=("$OUTPUT"/*.json) report plain=()
  for report in "${reports[@]}"; do
    [[ $report == *.spdx.json ]] || plain+=("$report")
  done
  python3 scripts/ci/summary.py scan --fail-on HIGH --fail-on CRITICAL "${plain[@]}"
}

main "$@"
