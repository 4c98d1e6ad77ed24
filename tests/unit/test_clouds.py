"""What infrastructure/terraform writes for the chart, and what docs/CLOUD.md says of its prices."""

import json
import re
from datetime import date
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.support.chart import CHART
from tests.support.paths import ROOT

FOLDER = ROOT / "infrastructure/terraform"
CLOUDS = ("aws", "azure", "gcp", "digitalocean")
SIZES = ("small", "medium", "large")


# What is not listed is filled in as "text".
FILLED = {
    "web": "2",
    "web * 3": "6",
    "redis_url": "rediss://redis.example.org:6379/0",
    "redis_port": "6379",
    "network": "10.10.0.0/20",
    "jsonencode": "{}",
}


def filled(*names: str) -> str:
    """Templates of Terraform as one text, with values for their expressions."""
    text = "".join((FOLDER / name).read_text(encoding="utf-8") for name in names)
    return re.sub(r"\$\{([\w *]+)[^}]*\}", lambda found: FILLED.get(found[1], "text"), text)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_values_that_terraform_writes_are_the_charts(cloud: str) -> None:
    values = yaml.safe_load(filled(f"{cloud}/common.yaml.tftpl", f"{cloud}/cloud.yaml.tftpl"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(values)
    assert values["redis"]["mode"] == "external" and values["edge"]["service"]["annotations"]


def test_the_manifests_are_objects_of_kubernetes_with_a_store_and_a_solver_of_the_cloud() -> None:
    found = list(yaml.safe_load_all(filled("interface/manifests.yaml.tftpl")))
    kinds = "Namespace ServiceAccount SecretStore ExternalSecret ClusterIssuer".split()
    assert [one["kind"] for one in found] == kinds
    for cloud in ("aws", "azure", "gcp"):
        access = yaml.safe_load(filled(f"{cloud}/access.yaml.tftpl"))
        assert access.keys() == {"annotations", "store", "solver"}
        assert len(access["store"]) == len(access["solver"]) == 1


def test_the_page_names_the_known_costs_of_each_size() -> None:
    page = (ROOT / "docs/CLOUD.md").read_text(encoding="utf-8")
    rows = {size: re.findall(rf"^\| {size} \|(.*)\|$", page, re.MULTILINE)[0] for size in SIZES}
    for size, row in rows.items():
        costs = [known(cloud, size) for cloud in CLOUDS]
        assert [int(cell.split(":")[0]) for cell in row.split(" | ")] == costs
    every = [item for cloud in CLOUDS for item in items(cloud)]
    dates = sorted(date.fromisoformat(item["date"]) for item in every if "date" in item)
    assert f"({dates[0]:%B %Y} to {dates[-1]:%B %Y})" in page


def items(cloud: str) -> list[dict[str, Any]]:
    prices = json.loads((FOLDER / cloud / "prices.json").read_text(encoding="utf-8"))
    return list(prices["items"].values())


def known(cloud: str, size: str) -> int:
    """As the output monthly_cost_estimate, in whole US dollars."""
    costs: list[float] = [item[size] * (item["usd"] or 0) for item in items(cloud)]
    return round(sum(costs))
