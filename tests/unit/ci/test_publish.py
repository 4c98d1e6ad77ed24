"""scripts/ci/publish.sh: the chart. What needs a registry: tests/integration/test_registry.py."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import workflows
from tests.support.chart import CHART, NO_HELM, helm
from tests.support.ci_scripts import run_script
from tests.support.missing import missing
from tests.support.processes import Programs, output_of

IMAGE, DIGEST = "registry.example.org/me/service", f"sha256:{'a' * 64}"
CHARTS, CHART_DIGEST = f"{IMAGE}/charts", f"sha256:{'b' * 64}"
SIGNED = f"cosign sign --yes {CHARTS}/{CHART.name}@{CHART_DIGEST}"


def publish(programs: Programs, version: str = "1.2.3") -> subprocess.CompletedProcess[str]:
    programs.add("cosign")
    settings: Any = {"IMAGE": IMAGE, "DIGEST": DIGEST, "VERSION": version, "PATH": programs.path}
    return run_script("publish.sh", "chart", **settings)


def test_the_image_comes_first_then_the_chart_and_its_tags_last() -> None:
    steps = workflows.job("ci-cd/publish").data["steps"]
    commands = [re.match(r"./scripts/ci/publish.sh (\w+)", step.get("run", "")) for step in steps]
    assert [found[1] for found in commands if found] == ["newer", "image", "chart", "tags"]
    assert commands[-1]


def test_a_pushed_chart_names_a_digest_and_is_signed(programs: Programs, tmp_path: Path) -> None:
    real = shutil.which("helm")
    if not real:
        missing(NO_HELM)
    # The real program packs; a push keeps the archive.
    push = f'cp "$2" {tmp_path}; echo "Digest: {CHART_DIGEST}" >&2'
    programs.add("helm", f'if [[ $1 == push ]]; then {push}; else exec {real} "$@"; fi')
    programs.add("skopeo", "echo manifest unknown >&2; exit 1")

    output_of(publish(programs, "1.2.3+g0123abc"))
    (archive,) = tmp_path.glob("*.tgz")
    chart = yaml.safe_load(helm("show", "chart", str(archive)).stdout)
    values = yaml.safe_load(helm("show", "values", str(archive)).stdout)
    assert (chart["version"], chart["appVersion"]) == ("1.2.3+g0123abc", "1.2.3")
    assert (values["image"]["repository"], values["image"]["digest"]) == (IMAGE, DIGEST)
    assert f'image: "{IMAGE}@{DIGEST}"' in helm("template", "x", str(archive)).stdout
    assert programs.calls[-1] == SIGNED
    assert programs.calls[-2].endswith(f"/{archive.name} oci://{CHARTS}")


def test_a_chart_is_not_pushed_while_nobody_knows_whether_it_is_there(programs: Programs) -> None:
    programs.add("skopeo", "echo received unexpected HTTP status: 503 >&2; exit 1")
    programs.add("helm")
    done = publish(programs)
    assert done.returncode == 1
    assert "could not be read: received unexpected HTTP status: 503" in done.stderr
    assert not [call for call in programs.calls if call.startswith(("helm", "cosign"))]


def test_a_version_that_is_there_is_signed_and_not_replaced(programs: Programs) -> None:
    programs.add("skopeo", f"echo {CHART_DIGEST}")
    programs.add("helm")
    output_of(publish(programs))
    assert not [call for call in programs.calls if call.startswith("helm")]
    assert programs.calls[-1] == SIGNED


@pytest.mark.parametrize(
    ("command", "settings", "word"),
    [
        ("chart", {"DIGEST": "main", "VERSION": "1.2.3"}, "DIGEST"),
        ("chart", {"DIGEST": DIGEST, "VERSION": "main"}, "1.2.3"),
        ("image", {}, "DIGEST"),
        ("--imag", {}, "--help"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(command: str, settings: Any, word: str) -> None:
    done = run_script("publish.sh", command, IMAGE=IMAGE, **settings)
    assert done.returncode == 1
    assert word in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_push_that_the_registry_refuses_is_said(programs: Programs) -> None:
    programs.add("skopeo", "echo manifest unknown >&2; exit 1")
    programs.add("helm", 'if [[ $1 == push ]]; then echo "Error: denied" >&2; exit 1; fi')
    done = publish(programs)
    assert done.returncode == 1
    assert "could not be pushed: Error: denied" in done.stderr
