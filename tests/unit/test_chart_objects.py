"""What the API server, Helm and a reviewer see of the chart."""

import json
import re
import shutil
import sys
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

import chart_examples
import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils as schemas

from tests.support.chart import CHART, FIXED, VARIANTS, helm, of_kind, render, require_helm
from tests.support.paths import ROOT
from tests.support.processes import output_of, run

# Their schemas come with other projects' CRDs.
FOREIGN = (
    *("monitoring.coreos.com/", "gateway.networking.k8s.io/", "cert-manager.io/"),
    "argoproj.io/",
)


@pytest.mark.parametrize("name", ["", "development", "staging", "production"])
def test_helm_finds_no_fault(name: str) -> None:
    values = (f"--values={CHART}/values-{name}.yaml",) if name else ()
    output_of(helm("lint", "--strict", "--quiet", str(CHART), *values))


@pytest.fixture(scope="module", name="different_objects")
def different_objects_fixture() -> list[dict[str, Any]]:
    """Of all variants, each object once."""
    rendered = [one for options in VARIANTS.values() for one in render(*options)]
    return list({json.dumps(one, sort_keys=True): one for one in rendered}.values())


@pytest.mark.parametrize("version", ["1.34", "1.35", "1.36", "1.37"])
def test_every_supported_api_server_knows_every_field(
    different_objects: list[dict[str, Any]], version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would parse the same definitions again for every object.
    monkeypatch.setattr(schemas, "schema_contents", cache(schemas.schema_contents))
    known = [one for one in different_objects if not one["apiVersion"].startswith(FOREIGN)]
    assert len(known) > 50
    for one in known:
        kubernetes_validate.validate(one, version, strict=True)


def test_it_can_be_a_part_of_another_chart(tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    shutil.copytree(CHART, parent / "charts" / CHART.name)
    own = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    part = {"name": CHART.name, "version": own["version"], "condition": f"{CHART.name}.enabled"}
    chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [part]}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(chart), encoding="utf-8")
    values = {"global": {"region": "eu"}, CHART.name: {"enabled": True, "replicaCount": 4}}
    (parent / "values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")

    said = output_of(helm("template", "x", str(parent), *FIXED))
    assert "replicas: 4" in said


def test_with_a_secret_of_ones_own_nothing_is_random() -> None:
    assert render() == render()
    assert not of_kind(render(), "Secret")


def annotations(chart: Path) -> dict[str, Any]:
    said = output_of(helm("template", "x", str(chart), *FIXED))
    objects = [one for one in yaml.safe_load_all(said) if one]
    return {
        one["metadata"]["name"].rpartition("-")[2]: one["spec"]["template"]["metadata"]
        for one in of_kind(objects, "Deployment") + of_kind(objects, "StatefulSet")
    }


@pytest.mark.parametrize(
    ("file", "restarted"), [("nginx/nginx.conf", "edge"), ("redis/redis.conf", "redis")]
)
def test_a_changed_file_restarts_its_server_alone(
    tmp_path: Path, file: str, restarted: str
) -> None:
    copy = tmp_path / CHART.name
    shutil.copytree(CHART, copy)
    # What running the tests leaves there: a file that is not text makes Helm forget all the others.
    (copy / "files/edge-exporter/__pycache__").mkdir(exist_ok=True)
    (copy / "files/edge-exporter/__pycache__/left.pyc").write_bytes(bytes(range(256)))
    before = annotations(copy)
    with (copy / "files" / file).open("a", encoding="utf-8") as changed:
        changed.write("# changed\n")
    after = annotations(copy)

    assert [name for name in before if before[name] != after[name]] == [restarted]


def test_the_examples_are_what_it_renders(tmp_path: Path) -> None:
    require_helm()
    program = chart_examples.__file__
    output_of(run([sys.executable, program, tmp_path]))

    committed = sorted(chart_examples.EXAMPLES.iterdir())
    assert [path.name for path in committed] == sorted(path.name for path in tmp_path.iterdir())
    for path in committed:
        text = (tmp_path / path.name).read_text(encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text, f"run python {program}"


def test_an_example_shows_of_a_file_only_the_lines_that_the_chart_changes() -> None:
    same = textwrap.indent((ROOT / "docker/nginx/nginx.conf").read_text(encoding="utf-8"), "    ")
    text = f"data:\n  nginx.conf: |\n{same}    resolver mine;\n  same.conf: |\n{same}"
    shown = yaml.safe_load(chart_examples.shorten(f"kind: ConfigMap\n{text}"))["data"]
    assert shown == {"nginx.conf": "...\nresolver mine;\n", "same.conf": "..."}


def test_every_value_has_a_comment() -> None:
    table = (CHART / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (.*) \| (.*) \|$", table, re.MULTILINE)
    # A group's comment stands for requests and limits.
    own = {key: text for key, _, text in rows if not key.endswith(("requests", "limits"))}
    assert own and all(own.values()), own
