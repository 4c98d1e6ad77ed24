"""A service that has grown: what a scrape of it holds, and what it costs on the wire."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.utils import metrics
from tests.support.load import Load
from tests.support.paths import ROOT
from tests.support.service import EMBEDDED, Service, StartService

ROUTES = 1_000
BLUEPRINT = f"""
from flask import Blueprint
blueprint = Blueprint("many", __name__)
for number in range({ROUTES}):
    blueprint.add_url_rule(
        f"/api/v1/things-of-kind-{{number}}", str(number), lambda: "", methods=["GET", "POST"]
    )
"""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("grown")
    shutil.copytree(ROOT / "app", root / "app", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "app" / "routes" / "many.py").write_text(BLUEPRINT, encoding="utf-8")
    factory = root / "app" / "factory.py"
    text = factory.read_text(encoding="utf-8")
    text = text.replace("from app.routes import (\n", "from app.routes import (\n    many,\n")
    text = text.replace("BLUEPRINTS = (\n", "BLUEPRINTS = (\n    many.blueprint,\n")
    factory.write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def service(start_service: StartService, grown: Path) -> Iterator[Service]:
    with start_service(redis=EMBEDDED, root=grown, REPLICAS="50") as running:
        yield running


@pytest.mark.slow
def test_a_scrape_of_a_thousand_routes_is_small(service: Service) -> None:
    asked = [
        (method, f"/api/v1/things-of-kind-{number}")
        for number in range(ROUTES)
        for method in ("GET", "POST")
    ]
    Load(service.port, iter(asked), connections=8).run()

    answer = service.manage("/metrics", headers={"Accept-Encoding": "gzip"}, stream=True)
    sent = len(answer.raw.read(decode_content=False))

    name = metrics.series_name(metrics.DURATION)
    families = list(text_string_to_metric_families(service.scrape()))
    (durations,) = (family for family in families if family.name == name)
    samples = sum(len(family.samples) for family in families)
    limits = {each.labels["le"] for each in durations.samples if "le" in each.labels}
    print(f"{samples:,} samples, {sent:,} bytes on the wire")
    assert limits == {"0.25", "2.5", "+Inf"}  # 50 such instances have a million series
    assert samples < 30 * ROUTES
    assert sent < 600_000
