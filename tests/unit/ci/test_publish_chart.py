"""What is published: the chart, and whether the tag `main` moves to the image of this run."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support import workflows
from tests.support.chart import CHART, NO_HELM, helm
from tests.support.ci_scripts import run_script
from tests.support.missing import missing
from tests.support.processes import Programs, output_of, run

IMAGE = f"registry.example.org/me/service@sha256:{'a' * 64}"
DIGEST = f"sha256:{'b' * 64}"
CHARTS = "registry.example.org/me/service/charts"
SIGNED = f"cosign sign --yes {CHARTS}/{CHART.name}@{DIGEST}"


def publish(programs: Programs, version: str = "1.2.3") -> subprocess.CompletedProcess[str]:
    programs.add("cosign")
    arguments = ("--image", IMAGE, "--version", version)
    return run_script("publish-chart.sh", *arguments, PATH=programs.path)


def test_a_pushed_chart_names_a_digest_and_is_signed(programs: Programs, tmp_path: Path) -> None:
    real = shutil.which("helm")
    if not real:
        missing(NO_HELM)
    # The real program packs; a push keeps the archive.
    push = f'cp "$2" {tmp_path}; echo "Digest: {DIGEST}" >&2'
    programs.add("helm", f'if [[ $1 == push ]]; then {push}; else exec {real} "$@"; fi')
    programs.add("skopeo", "exit 1")

    output_of(publish(programs, "1.2.3+g0123abc"))
    (archive,) = tmp_path.glob("*.tgz")
    chart = yaml.safe_load(helm("show", "chart", str(archive)).stdout)
    values = yaml.safe_load(helm("show", "values", str(archive)).stdout)
    assert (chart["version"], chart["appVersion"]) == ("1.2.3+g0123abc", "1.2.3")
    assert f"{values['image']['repository']}@{values['image']['digest']}" == IMAGE
    assert f'image: "{IMAGE}"' in helm("template", "x", str(archive)).stdout
    assert programs.calls[-1] == SIGNED
    assert programs.calls[-2].endswith(f"/{archive.name} oci://{CHARTS}")


def test_a_version_that_is_there_is_signed_and_not_replaced(programs: Programs) -> None:
    programs.add("skopeo", f"echo {DIGEST}")
    programs.add("helm")
    output_of(publish(programs))
    assert not [call for call in programs.calls if call.startswith("helm")]
    assert programs.calls[-1] == SIGNED


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--image", "name:tag", "--version", "1.2.3"), "digest"),
        (("--image", IMAGE, "--version", "main"), "1.2.3"),
        (("--imag", "x"), "--help"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(arguments: tuple[str, ...], word: str) -> None:
    done = run_script("publish-chart.sh", *arguments)
    assert done.returncode == 1
    assert word in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_push_that_the_registry_refuses_is_said(programs: Programs) -> None:
    programs.add("skopeo", "exit 1")
    programs.add("helm", 'if [[ $1 == push ]]; then echo "Error: denied" >&2; exit 1; fi')
    done = publish(programs)
    assert done.returncode == 1
    assert "could not be pushed: Error: denied" in done.stderr


PUBLISHED, COMMIT = "a" * 40, "b" * 40


def moves(programs: Programs, tmp_path: Path, skopeo: str, status: str = "") -> str:
    """What the step says, or its error."""
    programs.add("skopeo", skopeo)
    programs.add("gh", f'echo "{status}"')
    steps = workflows.job("ci-cd/publish").data["steps"]
    (step,) = (step for step in steps if step.get("id") == "main")
    environment = {"PATH": programs.path, "IMAGE": "ghcr.io/o/n", "GITHUB_REPOSITORY": "o/n"}
    environment |= {"GITHUB_SHA": COMMIT, "GITHUB_OUTPUT": str(tmp_path / "output")}
    environment["RUNNER_TEMP"] = str(tmp_path)
    done = run(["bash", "-eo", "pipefail", "-c", step["run"]], env=environment)
    return (tmp_path / "output").read_text() if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    ("status", "newer"),
    [("ahead", "true"), ("identical", "true"), ("behind", "false"), ("diverged", "false")],
)
def test_main_moves_to_a_commit_that_contains_the_published_one(
    programs: Programs, tmp_path: Path, status: str, newer: str
) -> None:
    """Whatever the newest commit of main is: one that changes a page publishes nothing."""
    label = f'{{"config": {{"Labels": {{"org.opencontainers.image.revision": "{PUBLISHED}"}}}}}}'
    assert moves(programs, tmp_path, f"echo '{label}'", status) == f"newer={newer}\n"
    assert f"compare/{PUBLISHED}...{COMMIT}" in programs.calls[-1]


def test_the_first_image_gets_the_tag(programs: Programs, tmp_path: Path) -> None:
    refused = 'echo "reading manifest main: manifest unknown" >&2; exit 1'
    assert moves(programs, tmp_path, refused) == "newer=true\n"


def test_a_registry_that_does_not_answer_ends_the_run(programs: Programs, tmp_path: Path) -> None:
    assert "timeout" in moves(programs, tmp_path, 'echo "i/o timeout" >&2; exit 1')
