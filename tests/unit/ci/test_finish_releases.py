"""scripts/ci/finish_releases.py, over histories in which version tags could be lost or go back."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.ci_scripts import Programs, run_script

IMAGE, MIRROR = "ghcr.io/o/n", "docker.io/o/n"
# A registry is a folder with a file for each tag, which holds the digest.
SKOPEO = """
file() { local name=${1#docker://}; echo "$REGISTRY/${name//\\//_}"; }
if [[ $1 == inspect ]]; then
  cat "$(file "${!#}")" 2>/dev/null || { echo "level=fatal msg=manifest unknown" >&2; exit 1; }
else
  source=${@: -2:1}
  [[ ! -f $REGISTRY/broken && $source == docker://ghcr.io/* ]] || { echo "no image" >&2; exit 1; }
  echo "${source#*@}" >"$(file "${!#}")"
fi
"""
GH = """
case "$1 $2" in
  "release list") cat "$REGISTRY/releases.json" ;;
  "api "*) tag=${2##*/}; printf '%s' "${tag//[!0-9]/}" | sha1sum | cut -c1-40 ;;
  "attestation download") echo '{}' >"sha256:1.jsonl" ;;
esac
"""
COSIGN = """
[[ $1 != download ]] || printf '{"first": 1}\n{"second": 2}\n'
[[ $1 != verify || "$*" != *"${FORGED:-nothing}"* ]]
"""


class Registry:
    def __init__(self, programs: Programs, folder: Path) -> None:
        self._programs, self.folder = programs, folder
        folder.mkdir()
        for name, script in (("skopeo", SKOPEO), ("gh", GH), ("cosign", COSIGN)):
            programs.add(name, script)

    def _file(self, tag: str, name: str = IMAGE) -> Path:
        return self.folder / f"{name}:{tag}".replace("/", "_")

    def publish(self, version: str, digest: str) -> None:
        """What a run of main does: the image of the commit that releases the version."""
        self._file(f"sha-{commit_of(version)}").write_text(digest)

    def finish(self, *drafts: str, released: tuple[str, ...] = (), **environment: str) -> Any:
        entries = [{"tagName": f"v{v}", "isDraft": v in drafts} for v in (*drafts, *released)]
        (self.folder / "releases.json").write_text(json.dumps(entries))
        settings: dict[str, Any] = {
            "PATH": self._programs.path,
            "REGISTRY": str(self.folder),
            "VISIBILITY": "",
        }
        arguments = ("--image", IMAGE, "--mirror", MIRROR)
        settings |= {"GITHUB_REPOSITORY": "o/n"} | environment
        return run_script("finish_releases.py", *arguments, **settings)

    def tags(self, name: str = IMAGE) -> dict[str, str]:
        start = f"{name}:".replace("/", "_")
        return {
            path.name.removeprefix(start): path.read_text().strip()[7:8]
            for path in self.folder.iterdir()
            if path.name.startswith(start) and "sha-" not in path.name
        }

    def calls(self, program: str) -> list[str]:
        return [call for call in self._programs.calls if call.startswith(program)]


def commit_of(version: str) -> str:
    return hashlib.sha1(version.replace(".", "").encode(), usedforsecurity=False).hexdigest()


def digest(number: int) -> str:
    return f"sha256:{str(number) * 64}"


@pytest.fixture
def registry(programs: Programs, tmp_path: Path) -> Registry:
    return Registry(programs, tmp_path / "registry")


def test_a_draft_gets_its_version_tags_in_every_registry_and_is_published(
    registry: Registry,
) -> None:
    registry.publish("1.2.3", digest(1))

    done = registry.finish("1.2.3")

    assert done.returncode == 0, done.stderr
    assert registry.tags() == {"1.2.3": "1", "1.2": "1", "1": "1", "latest": "1"}
    assert registry.tags(MIRROR) == registry.tags()
    assert "gh release edit v1.2.3 --draft=false --latest=true --repo o/n" in registry.calls("gh")


def test_a_fix_of_an_older_line_moves_only_the_tags_of_that_line(registry: Registry) -> None:
    for number, version in enumerate(("1.1.0", "2.0.0", "1.1.1"), 1):
        registry.publish(version, digest(number))
    registry.finish("1.1.0")
    registry.finish("2.0.0", released=("1.1.0",))

    assert registry.finish("1.1.1", released=("1.1.0", "2.0.0")).returncode == 0

    tags = registry.tags()
    assert (tags["1.1.1"], tags["1.1"], tags["1"]) == ("3", "3", "3")
    assert (tags["2"], tags["latest"]) == ("2", "2")
    assert "gh release edit v1.1.1 --draft=false --latest=false --repo o/n" in registry.calls("gh")


def test_a_release_that_is_finished_after_a_newer_one_moves_no_shared_tag_back(
    registry: Registry,
) -> None:
    registry.publish("1.0.0", digest(1))
    registry.publish("1.1.0", digest(2))
    registry.finish("1.1.0", released=("1.0.0",))

    assert registry.finish("1.0.0", released=("1.1.0",)).returncode == 0

    tags = registry.tags()
    assert (tags["1.0.0"], tags["1.0"]) == ("1", "1")
    assert (tags["1"], tags["latest"]) == ("2", "2")


def test_what_a_cancelled_run_left_is_finished_by_the_next(registry: Registry) -> None:
    registry.publish("1.0.0", digest(1))
    registry.publish("1.1.0", digest(2))
    (registry.folder / "broken").touch()
    assert registry.finish("1.0.0").returncode == 1
    (registry.folder / "broken").unlink()

    assert registry.finish("1.0.0", "1.1.0").returncode == 0

    assert registry.tags() == {
        **{"1.0.0": "1", "1.0": "1", "1.1.0": "2"},
        **{"1.1": "2", "1": "2", "latest": "2"},
    }


def test_a_released_version_is_never_moved_to_another_image(registry: Registry) -> None:
    registry.publish("1.0.0", digest(1))
    registry.finish("1.0.0")
    registry.publish("1.0.0", digest(2))

    done = registry.finish("1.0.0")

    assert done.returncode == 1 and "it is not moved" in done.stderr
    assert set(registry.tags().values()) == {"1"}


def test_one_draft_without_an_image_is_named_and_does_not_hold_up_the_next(
    registry: Registry,
) -> None:
    registry.publish("1.1.0", digest(2))

    done = registry.finish("1.0.0", "1.1.0")

    assert done.returncode == 1 and "v1.0.0: no image of its commit" in done.stderr
    assert registry.tags()["1.1.0"] == "2"


def test_an_image_without_a_valid_signature_gets_no_version(registry: Registry) -> None:
    registry.publish("1.0.0", digest(1))

    done = registry.finish("1.0.0", FORGED=digest(1))

    assert done.returncode == 1 and "has no valid signature" in done.stderr
    assert not registry.tags()


@pytest.mark.parametrize(
    ("visibility", "provenance"), [("public", ["provenance.intoto.jsonl"]), ("private", [])]
)
def test_signatures_are_attached_and_provenance_where_github_offers_it(
    registry: Registry, visibility: str, provenance: list[str]
) -> None:
    registry.publish("1.0.0", digest(1))

    assert registry.finish("1.0.0", VISIBILITY=visibility).returncode == 0

    (upload,) = registry.calls("gh release upload v1.0.0")
    signatures = ["image-1.sigstore.json", "image-2.sigstore.json"]
    assert [Path(word).name for word in upload.split() if "/" in word and "json" in word] == [
        *signatures,
        *provenance,
    ]
    tagged = registry.calls("skopeo copy")[0]
    assert registry.calls("").index(upload) < registry.calls("").index(tagged)
