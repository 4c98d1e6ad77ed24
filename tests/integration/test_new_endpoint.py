"""docs/ADD-AN-ENDPOINT.md, followed to the letter: one file and one line bring everything."""

import re
import shutil
from collections.abc import Iterator

import pytest
import requests

from tests.support.gunicorn_server import ROOT, GunicornServer

PAGE = ROOT / "docs" / "ADD-AN-ENDPOINT.md"


def blocks() -> list[str]:
    """The page's pieces of Python: the file, the line and the test."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GunicornServer]:
    """The service with the endpoint that the page describes, in a copy of the code."""
    root = tmp_path_factory.mktemp("service")
    shutil.copytree(ROOT / "app", root / "app", ignore=shutil.ignore_patterns("__pycache__"))
    file, line, _ = blocks()
    (root / "app" / "routes" / "greetings.py").write_text(file, encoding="utf-8")
    factory = root / "app" / "factory.py"
    text = factory.read_text(encoding="utf-8")
    text = text.replace("ROUTES = (\n", f"ROUTES = (\n{line}", 1)
    text = text.replace("from app.routes import api,", "from app.routes import greetings, api,", 1)
    factory.write_text(text, encoding="utf-8")
    with GunicornServer({"DRAIN_SECONDS": "0"}, root=root) as running:
        yield running


def test_the_example_fits_a_screen() -> None:
    file, line, test = blocks()

    assert len([code for code in file.splitlines() if code.strip()]) <= 25
    assert len(line.splitlines()) == 1
    assert "def test_" in test


def test_it_answers(server: GunicornServer) -> None:
    response = requests.get(f"{server.base_url}/api/v1/greetings/Ada", timeout=5)

    assert response.json() == {"text": "Hello, Ada!"}


def test_it_is_measured_and_logged_under_its_rule(server: GunicornServer) -> None:
    headers = {"X-Request-ID": "greeting"}
    requests.get(f"{server.base_url}/api/v1/greetings/Bob", headers=headers, timeout=5)

    series = 'http_requests_total{method="GET",route="/api/v1/greetings/<name>",status="200"}'
    metrics = requests.get(f"{server.base_url}/metrics", timeout=5).text
    lines = [record for record in server.log_records if record["request_id"] == "greeting"]
    assert series in metrics
    assert [line["route"] for line in lines] == ["/api/v1/greetings/<name>"]


def test_its_errors_are_problem_documents_with_the_request_id(server: GunicornServer) -> None:
    response = requests.get(f"{server.base_url}/api/v1/greetings/4711", timeout=5)

    problem = response.json()
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["errors"][0]["location"] == "path.name"
    assert problem["request_id"] == response.headers["X-Request-ID"]


def test_it_is_described(server: GunicornServer) -> None:
    description = requests.get(f"{server.base_url}/openapi.json", timeout=5).json()

    described = description["paths"]["/api/v1/greetings/{name}"]["get"]
    assert described["summary"] == "Greet somebody"
    assert described["responses"]["200"]["content"]["application/json"]["schema"]
