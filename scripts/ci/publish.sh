#!/usr/bin/env bash
# Publishes what was tested: the image by its digest, then the chart that names it, the image's tags last.
# shellcheck disable=SC2153 # the variables are the caller's
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/publish.sh published | newer | image | chart | tags

  published  print the commit whose image has the tag `main`, nothing if there is none
  newer      print newer=true unless that is a commit which GITHUB_SHA does not contain
  image      push .run/image.tar without a tag, under each name in TAGS, sign it, and give it sha-COMMIT; print its
             digest and each platform's. If an earlier run gave sha-COMMIT to an image, that one is kept
  chart      push the chart to IMAGE/charts, with this VERSION and the image's name and digest as defaults, and
             sign it; a version that is there is not replaced
  tags       give the pushed image its TAGS

IMAGE is the image's name, DIGEST its digest, TAGS are its whole names, one a line.
Needs skopeo and cosign, logged in to the registries; chart also helm, newer also gh.
Exit status: 0 done, 1 not.
USAGE
}

copy() { skopeo copy --quiet --all --preserve-digests --retry-times 3 "$1" "docker://$2"; }

# skopeo fails if the bytes are not the digest's.
image() {
  local images name there tested=oci-archive:.run/image.tar commit=$IMAGE:sha-$GITHUB_SHA
  # A chart, an environment or a release may name it.
  there=$(inspect --format '{{.Digest}}' "docker://$commit")
  [[ -z $there ]] || { DIGEST=$there && tested=docker://$IMAGE@$DIGEST; }
  mapfile -t images < <(for name in $TAGS; do say "${name%:*}"; done | sort -u)
  for name in "${images[@]}"; do
    copy "$tested" "$name@$DIGEST"
    cosign sign --yes --recursive "$name@$DIGEST" >&2
  done
  copy "docker://$IMAGE@$DIGEST" "$commit"
  say "digest=$DIGEST"
  skopeo inspect --raw "docker://$IMAGE@$DIGEST" | jq --raw-output '.manifests[] | "\(.platform.architecture)=\(.digest)"'
}

tags() {
  local tag
  for tag in $TAGS; do copy "docker://${tag%:*}@$DIGEST" "$tag"; done
}

# inspect OPTION... NAME: nothing if there is none, which no other error means
inspect() {
  local error
  error=$(mktemp)
  skopeo inspect "$@" 2>"$error" || grep -qE 'manifest unknown|name unknown|denied' "$error" \
    || fail "${*: -1} could not be read: $(tail -n 1 "$error")"
}

published() { inspect --config "docker://$IMAGE:main" | jq --raw-output '.config.Labels["org.opencontainers.image.revision"]'; }

# Not whether it is the newest of main: that may have changed pages only.
newer() {
  local commit status=ahead
  commit=$(published)
  [[ -z $commit ]] || status=$(gh api "repos/$GITHUB_REPOSITORY/compare/$commit...$GITHUB_SHA" --jq .status)
  if [[ $status =~ ^(ahead|identical)$ ]]; then say newer=true; else say newer=false; fi
}

chart() {
  local work digest name=devops-starter reference=$IMAGE/charts/devops-starter
  # A tag has no plus sign; Helm writes an underscore.
  [[ $VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.-]+)?$ ]] || fail "VERSION must be like 1.2.3 or 1.2.3+g0123abc"
  digest=$(inspect --format '{{.Digest}}' "docker://$reference:${VERSION/+/_}")
  if [[ -z $digest ]]; then
    work=$(mktemp -d)
    # With the files that its links name.
    cp --recursive --dereference "$ROOT/infrastructure/helm/$name" "$work"
    sed -i -E "/^image:/,/^[a-z]/ { s|^(  repository:) [^ ]*|\1 $IMAGE|; s|^(  digest:) [^ ]*|\1 $DIGEST| }" "$work/$name/values.yaml"
    helm package "$work/$name" --version "$VERSION" --app-version "${VERSION%%+*}" --destination "$work" >/dev/null
    helm push "$work/$name-$VERSION.tgz" "oci://$IMAGE/charts" >"$work/log" 2>&1 \
      || fail "the chart could not be pushed: $(tail -n 1 "$work/log")"
    digest=$(sed -n 's/^Digest: //p' "$work/log")
    rm -r "$work"
  fi
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "helm did not say which digest it pushed"
  cosign sign --yes "$reference@$digest"
  say "$reference:${VERSION/+/_} is $reference@$digest, signed."
}

case ${1:-} in
  published | newer) "$1" ;;
  image | chart | tags)
    [[ ${DIGEST:-} =~ ^sha256:[0-9a-f]{64}$ ]] || fail "DIGEST must be sha256:..."
    "$1"
    ;;
  -h | --help) usage ;;
  *) fail "unknown command '${1:-}'; scripts/ci/publish.sh --help lists them all" ;;
esac
