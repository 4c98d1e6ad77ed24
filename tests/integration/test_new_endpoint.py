"""docs/ADD-AN-ENDPOINT.md and docs/CACHE.md, followed to the letter."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.services.cache_service import CacheService
from app.utils import metrics
from tests.support.app_parts import make_redis, make_settings
from tests.support.paths import ROOT
from tests.support.processes import run
from tests.support.service import EMBEDDED, Service, StartService


def blocks(page: str) -> list[str]:
    """The page's pieces of Python."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with the endpoint that the page describes."""
    root = tmp_path_factory.mktemp("service")
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("app", "tests"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    for name in ("pyproject.toml", ".flake8", "pytest.ini"):
        shutil.copy(ROOT / name, root / name)
    route, name_line, blueprint_line, test = blocks("ADD-AN-ENDPOINT.md")
    (root / "app" / "routes" / "greetings.py").write_text(route, encoding="utf-8")
    (root / "tests" / "unit" / "test_routes_greetings.py").write_text(test, encoding="utf-8")
    factory = root / "app" / "factory.py"
    text = factory.read_text(encoding="utf-8")
    text = text.replace("    health,\n", f"{name_line}    health,\n", 1)
    text = text.replace("    stats.blueprint,\n", f"    stats.blueprint,\n{blueprint_line}", 1)
    factory.write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def service(start_service: StartService, clone: Path) -> Iterator[Service]:
    with start_service(redis=EMBEDDED, root=clone) as running:
        yield running


def test_it_answers(service: Service) -> None:
    response = service.get("/api/v1/greetings/Ada")

    assert response.json() == {"text": "Hello, Ada!"}


def test_it_is_measured_and_logged_under_its_rule(service: Service) -> None:
    headers = {"X-Request-ID": "greeting"}
    service.get("/api/v1/greetings/Bob", headers=headers)

    route = "/api/v1/greetings/<name>"
    lines = [record for record in service.log_records if record["request_id"] == "greeting"]
    assert service.metric(metrics.REQUESTS, route=route, status="200") >= 1
    assert [line["route"] for line in lines] == [route]


def test_its_errors_are_problem_documents_with_the_request_id(service: Service) -> None:
    response = service.get("/api/v1/greetings/4711")

    problem = response.json()
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["errors"][0]["location"] == "path.name"
    assert problem["request_id"] == response.headers["X-Request-ID"]


def test_it_is_described(service: Service) -> None:
    description = service.get("/openapi.json").json()

    described = description["paths"]["/api/v1/greetings/{name}"]["get"]
    assert described["summary"] == "Greet somebody"
    assert described["responses"]["200"]["content"]["application/json"]["schema"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [["black", "--check", "--quiet"], ["flake8"], ["pylint"], ["pytest", "-q"]],
    ids=lambda command: command[0],
)
def test_it_passes_every_check(clone: Path, command: list[str]) -> None:
    files = ["app/factory.py", "app/routes/greetings.py"]
    if command[0] == "pytest":
        files = ["tests/unit/test_routes_greetings.py"]
    done = run([sys.executable, "-m", *command, *files], cwd=clone)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_the_cache_page_looks_a_rate_up_once() -> None:
    names: dict[str, Any] = {}
    exec(blocks("CACHE.md")[0], names)  # pylint: disable=exec-used
    service = names["RateService"](CacheService(make_settings(), make_redis()))

    rates = [service.rate("USD"), service.rate("USD"), service.rate("EUR")]

    assert rates == [1.1, 1.1, 1.0]
    assert service.lookups == 2
