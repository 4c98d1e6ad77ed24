"""The running service against its own description, with every check that Schemathesis has.

Deterministic: the same description makes the same requests. schemathesis.toml says where an
answer depends on more than the schema can express.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app_parts import TOKEN
from tests.support.paths import ROOT
from tests.support.processes import output_of
from tests.support.service import Service, StartService

HERE = Path(__file__).parent
EXAMPLES = 50  # per operation and phase
SECONDS = 280  # half a minute on a quiet machine
FAULTS = "/api/v1/demo/faults"


@pytest.fixture
def service(start_service: StartService) -> Iterator[Service]:
    with start_service(API_TOKENS=TOKEN, WEB_CONCURRENCY="2") as running:
        yield running


def schemathesis(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    # fmt: off
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file", str(HERE / "schemathesis.toml"),
        "run", f"{service.base_url}/openapi.json",
        "--header", f"Authorization: Bearer {TOKEN}",
        "--checks", "all",
        "--max-examples", str(EXAMPLES),
        "--continue-on-failure",
        "--no-color",
        *arguments,
    ]
    # fmt: on
    hooks = {"SCHEMATHESIS_HOOKS": "tests.integration.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command,
        cwd=service.log_path.parent,
        env=os.environ | hooks,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def errors_logged(service: Service) -> list[object]:
    return [record["message"] for record in service.log_records if record["level"] == "ERROR"]


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 20)
def test_every_endpoint_keeps_what_the_description_promises(service: Service) -> None:
    said = output_of(schemathesis(service, "--exclude-path", FAULTS))
    assert "Stateful" in said and "No issues found" in said
    assert not errors_logged(service)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 20)
def test_the_fault_switch_keeps_what_the_description_promises(service: Service) -> None:
    # By itself, because the faults it sets strike all others.
    said = output_of(schemathesis(service, "--include-path", FAULTS))
    assert "No issues found" in said
    assert not errors_logged(service)
