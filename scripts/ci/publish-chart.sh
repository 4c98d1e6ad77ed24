#!/usr/bin/env bash
# Pushes the chart to the registry, bound to one image, and signs it.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/publish-chart.sh --image NAME@sha256:... --version VERSION

The chart gets this version and, as defaults, the image's name and digest. It goes to NAME/charts. A version that is
there is not replaced. Needs helm, skopeo and cosign, logged in to the registry.
Exit status: 0 it is there and signed, 1 not.
USAGE
}

main() {
  local image="" version="" work chart name reference digest
  while (($#)); do
    case $1 in
      --image) image=${2:?--image needs a reference} && shift ;;
      --version) version=${2:?--version needs one} && shift ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/publish-chart.sh --help lists them all" ;;
    esac
    shift
  done
  [[ $image =~ @sha256:[0-9a-f]{64}$ ]] || fail "--image must name the image by digest: NAME@sha256:..."
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.-]+)?$ ]] || fail "--version must be like 1.2.3 or 1.2.3+g0123abc"
  name=devops-starter
  # A tag has no plus sign; Helm writes an underscore.
  reference=${image%@*}/charts/$name:${version/+/_}
  if digest=$(skopeo inspect --format '{{.Digest}}' "docker://$reference" 2>/dev/null); then
    say "$reference is there already."
  else
    work=$(mktemp -d)
    # shellcheck disable=SC2064  # now
    trap "rm -rf '$work'" EXIT
    chart=$work/$name
    # With the files that its links name.
    cp --recursive --dereference "$ROOT/infrastructure/helm/$name" "$chart"
    sed -i -E "/^image:/,/^[a-z]/ { s|^(  repository:) [^ ]*|\1 ${image%@*}|; s|^(  digest:) [^ ]*|\1 ${image#*@}| }" "$chart/values.yaml"
    helm package "$chart" --version "$version" --app-version "${version%%+*}" --destination "$work" >/dev/null
    helm push "$work/$name-$version.tgz" "oci://${image%@*}/charts" >"$work/log" 2>&1 \
      || fail "the chart could not be pushed: $(tail -n 1 "$work/log")"
    digest=$(sed -n 's/^Digest: //p' "$work/log")
  fi
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "helm did not say which digest it pushed"
  cosign sign --yes "${reference%:*}@$digest"
  say "$reference is ${reference%:*}@$digest, signed."
}

main "$@"
