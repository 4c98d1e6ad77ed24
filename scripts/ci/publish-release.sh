#!/usr/bin/env bash
# Publishes a version: the tag and the GitHub release, with the notes of CHANGELOG.md and the SBOMs.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/publish-release.sh --version 1.2.3 --commit SHA --image NAME@sha256:... [--dry-run] [FILE...]

The files are attached. Doing it twice does no harm. Needs gh, logged in (GH_TOKEN).
Exit status: 0 published, anything else: not or not wholly; do it again.
USAGE
}

# with_image NOTES IMAGE
with_image() {
  cat <<NOTES
$1

### Image

\`$2\`, for amd64 and arm64. Check who built it before you run it:

\`\`\`sh
./scripts/ci/verify-signature.sh --repository ${GITHUB_REPOSITORY:-OWNER/NAME} --branch main --image $2
\`\`\`
NOTES
}

main() {
  local version="" commit="" image="" dry=false files=() notes
  while (($#)); do
    case $1 in
      --version) version=${2:?--version needs one} && shift ;;
      --commit) commit=${2:?--commit needs one} && shift ;;
      --image) image=${2:?--image needs a reference} && shift ;;
      --dry-run) dry=true ;;
      -h | --help) usage && return ;;
      -*) fail "unknown option $1; scripts/ci/publish-release.sh --help lists them all" ;;
      *) files+=("$1") ;;
    esac
    shift
  done
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "--version must be like 1.2.3, not '$version'"
  [[ -n $commit && -n $image ]] || fail "--commit and --image are needed"
  if $dry; then
    say "would tag $commit as v$version and publish $image with ${#files[@]} files"
    return
  fi

  cd "$ROOT"
  notes=$(python3 scripts/ci/release.py notes "$version")
  if gh release view "v$version" >/dev/null 2>&1; then
    say "v$version is published already."
    return
  fi
  gh release create "v$version" --target "$commit" --title "v$version" \
    --notes "$(with_image "$notes" "$image")" "${files[@]+"${files[@]}"}"
}

main "$@"
