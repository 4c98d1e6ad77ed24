"""scripts/ci/check_health.py: what counts as a deployment that answers."""

from typing import Any

import pytest

from tests.support.ci_scripts import run_script
from tests.support.listener import Asked, listening
from tests.support.processes import free_port

COMMIT, OTHER = "a" * 40, "b" * 40


def service(health: Any, commit: str) -> Any:
    return lambda asked: (
        200,
        {"status": health} if asked.path == "/health" else {"commit": commit},
    )


def check(url: str, timeout: str = "0.2") -> Any:
    return run_script("check_health.py", "--url", url, "--commit", COMMIT, "--timeout", timeout)


@pytest.mark.parametrize("running", [COMMIT, COMMIT[:12]])
def test_a_healthy_deployment_of_this_commit_is_accepted(running: str) -> None:
    with listening(service("healthy", running)) as server:
        assert check(f"{server.url}/").returncode == 0


@pytest.mark.parametrize(
    ("health", "commit", "complaint"),
    [
        ("degraded", COMMIT, "/health says degraded"),
        ("healthy", OTHER, f"it runs commit {OTHER}, not {COMMIT}"),
        ("healthy", "", "it runs commit unknown"),
    ],
)
def test_anything_else_is_refused_once_the_time_is_up(
    health: str, commit: str, complaint: str
) -> None:
    with listening(service(health, commit)) as server:
        done = check(server.url)

    assert done.returncode == 1 and complaint in done.stderr


def test_a_deployment_may_take_its_time_to_become_healthy() -> None:
    answers = iter(["unhealthy", "unhealthy", "healthy"])

    def answer(asked: Asked) -> tuple[int, Any]:
        if asked.path != "/health":
            return 200, {"commit": COMMIT}
        status = next(answers, "healthy")
        return (503 if status == "unhealthy" else 200), {"status": status}

    with listening(answer) as server:
        done = check(server.url, timeout="30")

    assert done.returncode == 0
    assert sum(asked.path == "/health" for asked in server.asked) == 3


def test_a_host_that_does_not_answer_is_told_in_a_line() -> None:
    done = check(f"http://127.0.0.1:{free_port()}")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "/health: " in done.stderr


def test_only_web_addresses_are_opened() -> None:
    assert check("file:///etc/passwd").returncode == 1


def test_without_an_address_the_check_is_skipped_in_a_sentence() -> None:
    done = check("")

    assert (done.returncode, "DEPLOY_URL is not set" in done.stdout) == (0, True)
