"""scripts/ci/publish.sh and finish_releases.py, with skopeo and a real registry, over histories in
which tags could be lost or go back.
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ci_scripts import run_script
from tests.support.missing import missing
from tests.support.processes import Programs, free_port, output_of, wait_until

CONFIGURATION = """
version: 0.1
storage: {{filesystem: {{rootdirectory: "{folder}"}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
GH = """
case "$1 $2" in
  "release list") cat "$RELEASES" ;;
  *compare*) echo "$STATUS" ;;
  "api "*) printf '%s' "${2##*/}" | sha1sum | cut -c1-40 ;;
  "attestation download") echo '{}' >"sha256:1.jsonl" ;;
esac
"""
COSIGN = """
[[ $1 != download ]] || printf '{"first": 1}\n{"second": 2}\n'
[[ $1 != verify || "$*" != *"${FORGED:-nothing}"* ]]
"""


class Registry:
    """A registry on this machine, and the programs as a job of the pipeline has them."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.server = folder, f"127.0.0.1:{port}"
        self._programs = Programs(folder / "programs")
        skopeo = f'exec {shutil.which("skopeo")} "$@"'
        for name, script in (("gh", GH), ("cosign", COSIGN), ("skopeo", skopeo)):
            self._programs.add(name, script)
        configuration = folder / ".config/containers/registries.conf"
        configuration.parent.mkdir(parents=True)
        configuration.write_text(f'[[registry]]\nlocation = "{self.server}"\ninsecure = true\n')
        self.environment: dict[str, Any] = {
            "PATH": self._programs.path,
            "HOME": str(folder),
            "GITHUB_REPOSITORY": "o/n",
            "GITHUB_SHA": "this",
            "RELEASES": str(folder / "releases.json"),
        }

    def calls(self, program: str = "") -> list[str]:
        return [call for call in self._programs.calls if call.startswith(program)]

    def tags(self, name: str = "o/n") -> dict[str, str]:
        """Each tag with its digest, as the registry has it on disk."""
        folder = self.folder / "blobs/docker/registry/v2/repositories" / name
        links = folder.glob("_manifests/tags/*/current/link")
        found = {link.parts[-3]: link.read_text() for link in links}
        return {tag: digest for tag, digest in found.items() if not tag.startswith("sha-")}

    def run(self, command: str, digest: str, *tags: str) -> subprocess.CompletedProcess[str]:
        """publish.sh, with the archive in .run/image.tar."""
        name = f"{self.server}/o/n"
        settings = {
            "IMAGE": name,
            "DIGEST": digest,
            "TAGS": "\n".join(f"{name}:{tag}" for tag in tags),
        }
        return run_script("publish.sh", command, cwd=self.folder, **self.environment, **settings)

    def publish(self, version: str, content: str = "") -> str:
        """What the run of the release's commit publishes; returns the image's digest."""
        commit = hashlib.sha1(f"v{version}".encode(), usedforsecurity=False).hexdigest()
        self.environment["GITHUB_SHA"] = commit
        said = output_of(self.run("image", build(self, content or version), f"sha-{commit}"))
        return re.match("digest=(.*)", said)[1]  # type: ignore[index]

    def finish(
        self, *drafts: str, released: tuple[str, ...] = (), mirror: str = "", **environment: str
    ) -> Any:
        versions = [*drafts, *released]
        entries = [{"tagName": f"v{each}", "isDraft": each in drafts} for each in versions]
        (self.folder / "releases.json").write_text(json.dumps(entries))
        names = ["--image", f"{self.server}/o/n"]
        names += ["--mirror", f"{self.server}/{mirror}"] if mirror else []
        return run_script("finish_releases.py", *names, **(self.environment | environment))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    for program in ("docker-registry", "skopeo"):
        if not shutil.which(program):
            missing(f"NO {program.upper()} FOR THE TESTS OF PUBLISHING: apt-get install {program}")
    port = free_port()
    configuration = tmp_path / "registry.yml"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path / "blobs", port=port))
    with subprocess.Popen(
        ["docker-registry", "serve", configuration],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
    ) as server:
        try:
            wait_until(lambda: answers(port), why="the registry answers")
            yield Registry(tmp_path, port)
        finally:
            server.terminate()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=1):
            return True
    except OSError:
        return False


def build(registry: Registry, content: str) -> str:
    """.run/image.tar as Buildx writes it, an image for two machines; returns its digest."""
    layout = registry.folder / "layout"
    shutil.rmtree(layout, ignore_errors=True)

    def blob(data: bytes, kind: str, **more: Any) -> dict[str, Any]:
        path = layout / "blobs/sha256" / hashlib.sha256(data).hexdigest()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        described = {"mediaType": f"application/vnd.oci.image.{kind}", "size": len(data), **more}
        return described | {"digest": f"sha256:{path.name}"}

    def document(kind: str, **members: Any) -> bytes:
        head = {"schemaVersion": 2, "mediaType": f"application/vnd.oci.image.{kind}"}
        return json.dumps(head | members).encode()

    manifests = []
    for machine in ("amd64", "arm64"):
        layer = blob(gzip.compress(f"{content} {machine}".encode()), "layer.v1.tar+gzip")
        settings: dict[str, Any] = {
            "architecture": machine,
            "os": "linux",
            "rootfs": {"type": "layers"},
        }
        settings["config"] = {"Labels": {"org.opencontainers.image.revision": content}}
        config = blob(json.dumps(settings).encode(), "config.v1+json")
        manifest = document("manifest.v1+json", config=config, layers=[layer])
        platform = {"architecture": machine, "os": "linux"}
        manifests.append(blob(manifest, "manifest.v1+json", platform=platform))
    index = blob(document("index.v1+json", manifests=manifests), "index.v1+json")
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (layout / "index.json").write_bytes(document("index.v1+json", manifests=[index]))
    (registry.folder / ".run").mkdir(exist_ok=True)
    with tarfile.open(registry.folder / ".run/image.tar", "w") as archive:
        archive.add(layout, arcname=".")
    return str(index["digest"])


def test_an_archive_that_is_not_the_tested_image_is_not_pushed(registry: Registry) -> None:
    tested = build(registry, "tested")
    build(registry, "swapped")
    done = registry.run("image", tested, "main")
    assert done.returncode != 0 and "digest" in done.stderr.lower(), done.stderr
    assert not registry.calls("cosign") and not registry.tags()


def test_tags_come_after_the_signature_and_name_the_tested_image(registry: Registry) -> None:
    tested = build(registry, "tested")
    said = output_of(registry.run("image", tested, "main", "1"))
    assert not registry.tags() and len(registry.calls("cosign sign")) == 1
    assert re.fullmatch(rf"digest={tested}\namd64=sha256:\w{{64}}\narm64=sha256:\w{{64}}\n", said)
    assert registry.run("tags", tested, "main", "1").returncode == 0
    assert registry.tags() == {"main": tested, "1": tested}


def test_main_moves_only_to_a_commit_that_contains_the_published_one(registry: Registry) -> None:
    """Whatever the newest commit of main is: one that changes a page publishes nothing."""
    assert output_of(registry.run("newer", "")) == "newer=true\n"
    published = build(registry, "published")
    for command in ("image", "tags"):
        output_of(registry.run(command, published, "main"))
    for status in ("ahead", "identical", "behind", "diverged"):
        registry.environment["STATUS"] = status
        said = str(status in ("ahead", "identical")).lower()
        assert output_of(registry.run("newer", "")) == f"newer={said}\n"
    assert registry.calls("gh")[-1] == "gh api repos/o/n/compare/published...this --jq .status"


def test_a_registry_that_does_not_answer_ends_the_run(registry: Registry) -> None:
    registry.server = "127.0.0.1:1"
    done = registry.run("newer", "")
    assert (done.returncode, done.stdout) == (1, "") and "could not be read" in done.stderr


@pytest.mark.parametrize(
    "expected",
    [
        {"1.2.3": "1.2.3 1.2 1 latest"},
        # A fix of an older line moves only the tags of that line.
        {"1.1.0": "1.1.0", "2.0.0": "2.0.0 2.0 2 latest", "1.1.1": "1.1.1 1.1 1"},
        # A release that was overtaken gets its version, and moves no shared tag back.
        {"1.1.0": "1.1.0 1.1 1 latest", "1.0.0": "1.0.0 1.0"},
    ],
    ids=" ".join,
)
def test_a_release_gets_tags_and_is_published(registry: Registry, expected: dict[str, str]) -> None:
    digests = {version: registry.publish(version) for version in expected}

    for number, version in enumerate(expected):
        output_of(registry.finish(version, released=tuple(expected)[:number]))

    tags = {tag: digests[version] for version in expected for tag in expected[version].split()}
    assert registry.tags() == tags
    last = list(expected)[-1]
    latest = str("latest" in expected[last]).lower()
    assert registry.calls("gh release edit")[-1] == (
        f"gh release edit v{last} --draft=false --latest={latest} --repo o/n"
    )


def test_a_draft_without_an_image_is_named_and_finished_later(registry: Registry) -> None:
    newer = registry.publish("1.1.0")

    done = registry.finish("1.0.0", "1.1.0")
    assert done.returncode == 1 and "v1.0.0: no image of its commit" in done.stderr
    assert registry.tags()["1.1.0"] == newer

    older = registry.publish("1.0.0")
    assert registry.finish("1.0.0", "1.1.0").returncode == 0
    shared = dict.fromkeys(["1.1.0", "1.1", "1", "latest"], newer)
    assert registry.tags() == {"1.0.0": older, "1.0": older} | shared


def test_a_version_that_was_released_stays_the_image_it_was(registry: Registry) -> None:
    other = build(registry, "of another commit")
    for command in ("image", "tags"):
        output_of(registry.run(command, other, "1.0.0"))
    registry.publish("1.0.0")
    done = registry.finish("1.0.0")
    assert done.returncode == 1 and "it is not moved" in done.stderr
    assert set(registry.tags().values()) == {other}


def test_a_commit_that_is_built_again_keeps_the_image_that_it_has(registry: Registry) -> None:
    first = registry.publish("1.0.0")
    assert registry.publish("1.0.0", "built again") == first
    assert registry.finish("1.0.0").returncode == 0
    assert set(registry.tags().values()) == {first}


def test_an_image_without_a_valid_signature_gets_no_version(registry: Registry) -> None:
    digest = registry.publish("1.0.0")
    done = registry.finish("1.0.0", FORGED=digest)
    assert done.returncode == 1 and "has no valid signature" in done.stderr
    assert not registry.tags()


@pytest.mark.parametrize(
    ("visibility", "provenance"), [("public", ["provenance.intoto.jsonl"]), ("private", [])]
)
def test_the_mirror_gets_the_tags_too_after_signatures_and_provenance_are_attached(
    registry: Registry, visibility: str, provenance: list[str]
) -> None:
    registry.publish("1.0.0")
    published = len(registry.calls())

    output_of(registry.finish("1.0.0", mirror="mirror/n", VISIBILITY=visibility))
    assert registry.tags("mirror/n") == registry.tags() != {}

    calls = registry.calls()[published:]
    programs = [call.partition(" v1.0.0")[0] for call in calls]
    upload = programs.index("gh release upload")
    files = [Path(word).name for word in calls[upload].split() if "/" in word and "json" in word]
    assert files == ["image-1.sigstore.json", "image-2.sigstore.json", *provenance]
    assert "skopeo copy" in str(calls[upload:]) and "skopeo copy" not in str(calls[:upload])
