"""scripts/load-test.sh against a real service, and scripts/bench.sh --check."""

import subprocess
from pathlib import Path

import pytest

from tests.support.app_parts import TOKEN
from tests.support.clone import environment
from tests.support.missing import missing
from tests.support.paths import ROOT
from tests.support.processes import free_port, run
from tests.support.redis_server import RedisServer
from tests.support.service import Service

# No answer of a test's own service takes that long.
LENIENT = ("--p99-ms", "60000")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def load_test(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The first call builds an environment with Locust."""
    done = run([ROOT / "scripts/load-test.sh", *arguments], env=environment(), seconds=300)
    if "could not be installed" in done.stderr:
        pytest.skip(f"NO LOCUST, THE LOAD TEST IS NOT TESTED: {done.stderr.strip()}")
    return done


def test_within_the_thresholds_it_writes_a_report(service: Service, tmp_path: Path) -> None:
    token, report = tmp_path / "token", tmp_path / "report.html"
    token.write_text(f"{TOKEN}\n")
    files = ("--token-file", str(token), "--report", str(report))

    done = load_test(service.base_url, "--users", "10", "--duration", "8s", *files, *LENIENT)

    assert done.returncode == 0, done
    assert "kept: p99" in done.stdout and "kept: errors 0.00%" in done.stdout
    assert "GET /api/v1/cache/{key}" in done.stdout and "PUT /api/v1/cache/{key}" in done.stdout
    assert "/api/v1/cache/{key}" in report.read_text(encoding="utf-8")
    assert TOKEN not in done.stdout + done.stderr + report.read_text(encoding="utf-8")


def test_without_a_token_it_only_reads_and_a_broken_threshold_ends_with_1(service: Service) -> None:
    done = load_test(service.base_url, "--users", "5", "--duration", "3", "--p99-ms", "0.001")
    assert done.returncode == 1, done
    assert "BROKEN: p99" in done.stdout
    assert "Reads only: a write is answered with 401" in done.stdout
    assert "PUT /api/v1/cache/{key}" not in done.stdout


def test_where_nothing_answers_it_says_so_in_one_line() -> None:
    done = load_test(f"http://127.0.0.1:{free_port()}", "--duration", "3")
    assert done.returncode == 2, done
    assert len(done.stderr.splitlines()) == 1 and "nothing answers" in done.stderr


def test_every_peer_has_metrics_request_id_security_headers_and_a_json_access_line() -> None:
    if not RedisServer.available():
        missing("NO redis-server ON PATH: the bench's peers cannot be started")

    done = run([ROOT / "scripts" / "bench.sh", "--check"], env=environment(), seconds=380)

    if "could not be installed" in done.stderr:
        pytest.skip(f"NO PEERS, THE BENCH IS NOT CHECKED: {done.stderr.strip()}")
    assert done.returncode == 0, done
    assert done.stdout == "ours, tutorial, fastapi and bare answer as they should\n"
