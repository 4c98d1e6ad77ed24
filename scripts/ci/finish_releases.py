#!/usr/bin/env python3
"""Finish every draft release: its signatures as files, version tags for its image, then publish it.

release-please drafts a release when its pull request reaches main. A run that is cancelled loses
nothing: the next run of main finds the draft and finishes it. Only the newest version of a line
moves X, X.Y and latest, and a version tag is never moved to another image.
Needs gh (GH_TOKEN), skopeo and cosign, logged in to the registries.
Exit status: 0 no draft is left, 1 one is (the last line says why).
"""

import json
import os
import re
import sys
import tempfile
from argparse import ArgumentParser, RawTextHelpFormatter
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "lib"))
# pylint: disable=wrong-import-position
from command_error import CommandError, output_of, run  # noqa: E402

HERE = Path(__file__).resolve().parent
TAG = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
# How registries name what is not there; GitHub's says "denied" for a package that does not exist.
MISSING = re.compile("manifest unknown|name unknown|denied", re.IGNORECASE)
Version = tuple[int, ...]


def image_tags(version: Version, all_versions: list[Version]) -> list[str]:
    """The version, and each shorter tag of which it is the newest version."""
    starts = [version[:length] for length in (3, 2, 1, 0)]
    newest = [max(one for one in all_versions if one[: len(start)] == start) for start in starts]
    return [
        ".".join(map(str, start)) or "latest"
        for start, best in zip(starts, newest, strict=True)
        if best == version
    ]


def digest_of(reference: str) -> str:
    """The digest that a tag has in its registry, "" if there is no such tag."""
    try:
        return output_of("skopeo", "inspect", "--format", "{{.Digest}}", f"docker://{reference}")
    except CommandError as error:
        if MISSING.search(str(error)):
            return ""
        raise


def finish(tag: str, tags: list[str], names: list[str], attested: bool) -> None:
    """Tag the image of the draft's commit under every name, and publish the draft."""
    image, repository = names[0], os.environ["GITHUB_REPOSITORY"]
    commit = output_of("gh", "api", f"repos/{repository}/commits/{tag}", "--jq", ".sha")
    digest = digest_of(f"{image}:sha-{commit}")
    if not digest:
        raise CommandError(f"no image of its commit was published; rerun the pipeline of {commit}")
    output_of(HERE / "verify-signature.sh", "--image", f"{image}@{digest}", "--commit", commit)
    attach_proofs(tag, f"{image}@{digest}", attested)
    tag_image(names, digest, tags)
    latest = f"--latest={str('latest' in tags).lower()}"
    output_of("gh", "release", "edit", tag, "--draft=false", latest, "--repo", repository)
    print(f"Released {tag}: {image}@{digest} as {', '.join(tags)}")


def tag_image(names: list[str], digest: str, tags: list[str]) -> None:
    """The first tag is the version: if it names another image anywhere, nothing is tagged."""
    for name in names:
        if digest_of(f"{name}:{tags[0]}") not in ("", digest):
            raise CommandError(f"{name}:{tags[0]} exists and is another image: it is not moved")
    copy = ("skopeo", "copy", "--all", "--preserve-digests", "--retry-times", "3")
    for name in names:
        for tag in tags:
            output_of(*copy, f"docker://{names[0]}@{digest}", f"docker://{name}:{tag}")


def attach_proofs(tag: str, image: str, attested: bool) -> None:
    """Attach each signature as a Sigstore bundle, and the provenance where there is one."""
    repository = os.environ["GITHUB_REPOSITORY"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundles = output_of("cosign", "download", "signature", image).splitlines()
        for number, bundle in enumerate(bundles, 1):
            (folder / f"image-{number}.sigstore.json").write_text(bundle, encoding="utf-8")
        if attested:
            subject = f"oci://{image}"
            output_of("gh", "attestation", "download", subject, "--repo", repository, where=folder)
            (found,) = folder.glob("*.jsonl")
            found.rename(folder / "provenance.intoto.jsonl")
        files = sorted(map(str, folder.iterdir()))
        output_of("gh", "release", "upload", tag, *files, "--clobber", "--repo", repository)


def main() -> int:
    parser = ArgumentParser(description=__doc__, formatter_class=RawTextHelpFormatter)
    parser.add_argument("--image", required=True, help="e.g. ghcr.io/owner/name")
    parser.add_argument("--mirror", default="", help="the same image in a second registry")
    arguments = parser.parse_args()
    repository = os.environ.get("GITHUB_REPOSITORY")
    if not repository:
        raise CommandError("GITHUB_REPOSITORY is not set, e.g. owner/name")
    names = [name.lower() for name in (arguments.image, arguments.mirror) if name]
    attested = os.environ.get("VISIBILITY") == "public"
    fields = ("--json", "tagName,isDraft", "--limit", "1000", "--repo", repository)
    drafts: dict[Version, bool] = {
        tuple(map(int, found.groups())): entry["isDraft"]
        for entry in json.loads(output_of("gh", "release", "list", *fields))
        if (found := TAG.fullmatch(entry["tagName"]))
    }
    failed = []
    for version in sorted(version for version, is_draft in drafts.items() if is_draft):
        tags = image_tags(version, list(drafts))
        tag = f"v{tags[0]}"
        try:
            finish(tag, tags, names, attested)
        except CommandError as error:
            failed.append(f"{tag}: {error}")
    if failed:
        raise CommandError("; ".join(failed))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
