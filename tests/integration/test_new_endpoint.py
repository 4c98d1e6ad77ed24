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
from tests.support.processes import output_of, run
from tests.support.service import EMBEDDED, Service, StartService

# The page's greetings, and two more endpoints of the same kind.
STEMS = ("greet", "salut", "welcom")


def blocks(page: str) -> list[str]:
    """The page's pieces of Python."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with the endpoint that the page describes, and two more by the same
    steps, with a service each."""
    root = tmp_path_factory.mktemp("service")
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("app", "tests", "scripts", "docker", "monitoring"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    for name in ("pyproject.toml", ".flake8", "pytest.ini"):
        shutil.copy(ROOT / name, root / name)
    for stem in STEMS:
        follow(root, stem, with_service=stem != STEMS[0])
    return root


def follow(root: Path, stem: str, *, with_service: bool) -> None:
    """Take the page's steps for the endpoint `greetings`, or another of the same kind."""

    # pylint: disable=too-many-locals  # one for each block of the page
    def named(text: str) -> str:
        return text.replace("greet", stem).replace("Greet", stem.capitalize())

    route, name_line, blueprint_line, test, service, import_line, service_line, use = map(
        named, blocks("ADD-AN-ENDPOINT.md")
    )
    added = {"from app.routes import (\n": name_line, "BLUEPRINTS = (\n": blueprint_line}
    if with_service:
        added |= {"PeriodicTasks\n": import_line, "services = [\n": service_line}
        (root / "app" / "services" / f"{stem}ings.py").write_text(service, encoding="utf-8")
        *lines, _return = route.splitlines()
        route = "\n".join([*lines, use])
        imported = f"from app.routes import service\n{import_line}"
        route = route.replace("\nblueprint = ", f"{imported}\nblueprint = ", 1)
    (root / "app" / "routes" / f"{stem}ings.py").write_text(route, encoding="utf-8")
    (root / "tests" / "unit" / f"test_routes_{stem}ings.py").write_text(test, encoding="utf-8")
    factory = root / "app" / "factory.py"
    text = factory.read_text(encoding="utf-8")
    for place, line in added.items():
        head, found, tail = text.partition(place)
        assert found, place
        text = head + found + line + tail
    factory.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def service(start_service: StartService, clone: Path) -> Iterator[Service]:
    with start_service(redis=EMBEDDED, root=clone) as running:
        yield running


def test_it_answers_measured_logged_and_described(service: Service) -> None:
    answer = service.get("/api/v1/greetings/Ada", headers={"X-Request-ID": "greeting"})

    route = "/api/v1/greetings/<name>"
    lines = [record for record in service.log_records if record["request_id"] == "greeting"]
    assert answer.json() == {"text": "Hello, Ada!"}
    assert service.metric(metrics.REQUESTS, route=route, status="200") == 1
    assert [line["route"] for line in lines] == [route]
    described = service.get("/openapi.json").json()["paths"]["/api/v1/greetings/{name}"]["get"]
    assert described["summary"] == "Greet somebody"
    assert described["responses"]["200"]["content"]["application/json"]["schema"]


def test_its_errors_are_problem_documents_with_the_request_id(service: Service) -> None:
    response = service.get("/api/v1/greetings/4711")
    problem = response.json()
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["errors"][0]["location"] == "path.name"
    assert problem["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "command",
    [
        "black --check --quiet app tests/unit",
        "flake8 app tests/unit",
        "pylint --recursive=y app/factory.py app/routes app/services",
        "mypy app",
        "pytest -q " + " ".join(f"tests/unit/test_routes_{stem}ings.py" for stem in STEMS),
    ],
    ids=lambda command: command.split()[0],
)
def test_three_endpoints_by_the_page_pass_every_check(clone: Path, command: str) -> None:
    output_of(run([sys.executable, "-m", *command.split()], cwd=clone, seconds=280))


def test_the_example_of_the_cache_page_looks_a_rate_up_once() -> None:
    names: dict[str, Any] = {}
    exec(blocks("CACHE.md")[0], names)  # pylint: disable=exec-used
    service = names["RateService"](CacheService(make_settings(), make_redis()))
    rates = [service.rate("USD"), service.rate("USD"), service.rate("EUR")]
    assert rates == [1.1, 1.1, 1.0]
    assert service.lookups == 2
