"""Pushing and tagging, with skopeo and a real registry: by the steps of ci-cd.yml themselves."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import workflows
from tests.support.ci_scripts import Programs, run_script
from tests.support.missing import missing
from tests.support.processes import free_port, run, wait_until

CONFIGURATION = """
version: 0.1
storage: {{filesystem: {{rootdirectory: "{folder}"}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
GH = """
case "$1 $2" in
  "release list") cat "$RELEASES" ;;
  "api "*) printf '%s' "${2##*/}" | sha1sum | cut -c1-40 ;;
esac
"""


class Registry:
    """A registry on this machine, and the programs as a job of the pipeline has them."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.image = folder, f"127.0.0.1:{port}/o/n"
        self._programs = Programs(folder / "programs")
        self._programs.add("gh", GH)
        self._programs.add("cosign")
        configuration = folder / ".config/containers/registries.conf"
        configuration.parent.mkdir(parents=True)
        configuration.write_text(f'[[registry]]\nlocation = "127.0.0.1:{port}"\ninsecure = true\n')
        self.environment: dict[str, Any] = {
            "PATH": self._programs.path,
            "HOME": str(folder),
            "GITHUB_REPOSITORY": "o/n",
            "RELEASES": str(folder / "releases.json"),
        }

    @property
    def calls(self) -> str:
        return "\n".join(self._programs.calls)

    def digest(self, tag: str) -> str:
        reference = f"docker://{self.image}:{tag}"
        done = run(["skopeo", "inspect", "--raw", reference], env=self.environment)
        return f"sha256:{hashlib.sha256(done.stdout.encode()).hexdigest()}" if done.stdout else ""

    def step(self, name: str, digest: str, *tags: str) -> subprocess.CompletedProcess[str]:
        """A step of the job that publishes, with the archive in .run/image.tar."""
        steps = workflows.job("ci-cd/publish").data["steps"]
        (script,) = (step["run"] for step in steps if step["name"] == name)
        names = "\n".join(f"{self.image}:{tag}" for tag in tags)
        settings = self.environment | {"DIGEST": digest, "TAGS": names}
        return run(["bash", "-eo", "pipefail", "-c", script], cwd=self.folder, env=settings)

    def publish(self, digest: str, *tags: str) -> None:
        for step in ("Push and sign it by digest", "Tag it"):
            done = self.step(step, digest, *tags)
            assert done.returncode == 0, done.stderr

    def finish(self, *drafts: str, released: tuple[str, ...] = ()) -> Any:
        entries = [{"tagName": f"v{v}", "isDraft": v in drafts} for v in (*drafts, *released)]
        (self.folder / "releases.json").write_text(json.dumps(entries))
        return run_script("finish_releases.py", "--image", self.image, **self.environment)


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
            wait_until(lambda: answers(port), seconds=20, why="the registry answers")
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
        settings = {"architecture": machine, "os": "linux", "rootfs": {"type": "layers"}}
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

    done = registry.step("Push and sign it by digest", tested, "main")

    assert done.returncode != 0 and "digest" in done.stderr.lower(), done.stderr
    assert "cosign" not in registry.calls and not registry.digest("main")


def test_tags_come_after_the_signature_and_name_the_tested_image(registry: Registry) -> None:
    tested = build(registry, "tested")

    pushed = registry.step("Push and sign it by digest", tested, "main", "sha-1")
    assert pushed.returncode == 0, pushed.stderr
    assert not registry.digest("main")

    assert registry.step("Tag it", tested, "main", "sha-1").returncode == 0
    assert registry.digest("main") == registry.digest("sha-1") == tested


def released(registry: Registry, version: str) -> str:
    """What the run of the release's commit publishes; returns the image's digest."""
    commit = hashlib.sha1(f"v{version}".encode(), usedforsecurity=False).hexdigest()
    digest = build(registry, version)
    registry.publish(digest, f"sha-{commit}")
    return digest


def test_an_overtaken_release_gets_its_version_and_moves_no_tag_back(registry: Registry) -> None:
    older, newer = released(registry, "1.0.0"), released(registry, "1.1.0")
    assert registry.finish("1.1.0", released=("1.0.0",)).returncode == 0

    done = registry.finish("1.0.0", released=("1.1.0",))

    assert done.returncode == 0, done.stderr
    tags = {tag: registry.digest(tag) for tag in ("1.0.0", "1.0", "1.1.0", "1.1", "1", "latest")}
    assert tags == {
        **{"1.0.0": older, "1.0": older},
        **{"1.1.0": newer, "1.1": newer, "1": newer, "latest": newer},
    }


def test_a_version_that_was_released_stays_the_image_it_was(registry: Registry) -> None:
    first = released(registry, "1.0.0")
    assert registry.finish("1.0.0").returncode == 0
    commit = hashlib.sha1(b"v1.0.0", usedforsecurity=False).hexdigest()
    registry.publish(build(registry, "built again"), f"sha-{commit}")

    done = registry.finish("1.0.0")

    assert done.returncode == 1 and "it is not moved" in done.stderr
    assert registry.digest("1.0.0") == registry.digest("latest") == first
