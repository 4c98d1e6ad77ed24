"""The running service against its own description, with every check that Schemathesis has.

Deterministic: the same description makes the same requests. schemathesis.toml says where an
answer depends on more than the schema can tell.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.refusals import TOKEN
from tests.support.gunicorn_server import ROOT, GunicornServer

HERE = Path(__file__).parent
EXAMPLES = 50  # per operation and phase
SECONDS = 280  # half a minute on a quiet machine
FAULTS = "/api/v1/demo/faults"


@pytest.fixture
def server(redis_url: str) -> Iterator[GunicornServer]:
    prefix = f"test:{uuid.uuid4().hex[:16]}:"
    settings = {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": prefix,
        "REDIS_TIMEOUT_MS": "10000",  # a busy machine is no reason to give up
        "API_TOKENS": TOKEN,
        "WEB_CONCURRENCY": "2",
        "DRAIN_SECONDS": "0",
    }
    with GunicornServer(settings) as running:
        yield running
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter(match=f"{prefix}*", count=1000):
            redis.delete(key)


def schemathesis(server: GunicornServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    # fmt: off
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file", str(HERE / "schemathesis.toml"),
        "run", f"{server.base_url}/openapi.json",
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
        cwd=server.log_path.parent,
        env=os.environ | hooks,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def errors_logged(server: GunicornServer) -> list[object]:
    return [record["message"] for record in server.log_records if record["level"] == "ERROR"]


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 20)
def test_every_endpoint_keeps_what_the_description_promises(server: GunicornServer) -> None:
    run = schemathesis(server, "--exclude-path", FAULTS)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "Stateful" in run.stdout and "No issues found" in run.stdout
    assert not errors_logged(server)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 20)
def test_the_fault_switch_keeps_what_the_description_promises(server: GunicornServer) -> None:
    # By itself, because the faults it sets strike all others.
    run = schemathesis(server, "--include-path", FAULTS)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "No issues found" in run.stdout
    assert not errors_logged(server)
