"""What stands around a deployment: its order, the check from outside, record, mark and message."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.ci_scripts import Run
from tests.support.listener import Asked, listening
from tests.support.processes import free_port

COMMIT, OTHER = "a" * 40, "b" * 40


def service(health: Any, commit: str) -> Any:
    """A deployment as check_health.py sees it."""
    return lambda asked: (
        200,
        {"status": health} if asked.path == "/health" else {"commit": commit},
    )


def check(run: Run, url: str, timeout: str = "0.2") -> Any:
    return run("check_health.py", "--url", url, "--commit", COMMIT, "--timeout", timeout)


def test_a_healthy_deployment_of_this_commit_is_accepted(run: Run) -> None:
    with listening(service("healthy", COMMIT)) as server:
        assert check(run, f"{server.url}/").returncode == 0


def test_a_shortened_commit_is_the_same_commit(run: Run) -> None:
    with listening(service("healthy", COMMIT[:12])) as server:
        assert check(run, server.url).returncode == 0


@pytest.mark.parametrize(
    ("health", "commit", "complaint"),
    [
        ("degraded", COMMIT, "/health says degraded"),
        ("healthy", OTHER, f"it runs commit {OTHER}, not {COMMIT}"),
        ("healthy", "", "it runs commit unknown"),
    ],
)
def test_anything_else_is_refused_once_the_time_is_up(
    run: Run, health: str, commit: str, complaint: str
) -> None:
    with listening(service(health, commit)) as server:
        done = check(run, server.url)

    assert done.returncode == 1 and complaint in done.stderr


def test_a_deployment_may_take_its_time_to_become_healthy(run: Run) -> None:
    answers = iter(["unhealthy", "unhealthy", "healthy"])

    def answer(asked: Asked) -> tuple[int, Any]:
        if asked.path != "/health":
            return 200, {"commit": COMMIT}
        status = next(answers, "healthy")
        return (503 if status == "unhealthy" else 200), {"status": status}

    with listening(answer) as server:
        done = check(run, server.url, timeout="30")

    assert done.returncode == 0
    assert sum(asked.path == "/health" for asked in server.asked) == 3


def test_a_host_that_does_not_answer_is_told_in_a_line(run: Run) -> None:
    done = check(run, f"http://127.0.0.1:{free_port()}")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "/health could not be reached" in done.stderr


def test_without_an_address_the_check_is_skipped_in_a_sentence(run: Run) -> None:
    done = check(run, "")

    assert (done.returncode, "DEPLOY_URL is not set" in done.stdout) == (0, True)


def github(deployments: list[Any], statuses: dict[int, list[str]], relation: str) -> Any:
    """GitHub's API, as far as deploy_order.py asks it."""

    def answer(asked: Asked) -> tuple[int, Any]:
        path = asked.path.partition("?")[0].removeprefix("/repos/o/n/")
        if path == "deployments":
            return 200, deployments
        if path.startswith("deployments/"):
            return 200, [{"state": state} for state in statuses[int(path.split("/")[1])]]
        assert path == f"compare/{OTHER}...{COMMIT}"
        return 200, {"status": relation}

    return answer


def order(run: Run, url: str, event: str = "push") -> Any:
    arguments = ("--environment", "production", "--commit", COMMIT, "--event", event)
    environment = {"GITHUB_API_URL": url, "GITHUB_REPOSITORY": "o/n", "GITHUB_TOKEN": "t0ken"}
    return run("deploy_order.py", *arguments, env=environment)


DEPLOYED = [{"id": 3, "sha": COMMIT}, {"id": 2, "sha": "c" * 40}, {"id": 1, "sha": OTHER}]
STATUSES = {3: ["in_progress"], 2: ["failure"], 1: ["inactive", "success"]}


@pytest.mark.parametrize(
    ("relation", "event", "overtaken"),
    [
        ("ahead", "push", False),
        ("identical", "push", False),
        ("diverged", "push", False),
        ("behind", "push", True),
        ("behind", "workflow_dispatch", False),
    ],
)
def test_only_an_older_commit_is_refused_unless_somebody_wants_it(
    run: Run, relation: str, event: str, overtaken: bool
) -> None:
    """Refused, not skipped: GitHub takes a job that succeeds for a deployment of its commit."""
    with listening(github(DEPLOYED, STATUSES, relation)) as server:
        done = order(run, server.url, event)

    assert done.returncode == (1 if overtaken else 0)
    assert f"overtaken={str(overtaken).lower()}" in done.stdout.splitlines()
    assert ("already has the newer" in done.stderr) is overtaken
    assert {asked.authorization for asked in server.asked} == {"Bearer t0ken"}


def test_the_first_deployment_needs_no_other(run: Run) -> None:
    with listening(github(DEPLOYED[:2], STATUSES, "behind")) as server:
        assert "overtaken=false" in order(run, server.url).stdout


def test_when_github_does_not_answer_nothing_is_deployed(run: Run) -> None:
    with listening(lambda _: (502, {})) as server:
        done = order(run, server.url)

    assert done.returncode == 1 and "GitHub answered 502" in done.stderr
    assert "overtaken=" not in done.stdout


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        (("success", "success", "skipped"), "deployed"),
        (("success", "failure", "success"), "rolled back"),
        (("success", "failure", "failure"), "rollback failed"),
        (("success", "failure", "skipped"), "failed its check from outside"),
        (("failure", "skipped", "skipped"), "failed"),
        (("skipped", "skipped", "skipped"), "not deployed"),
        (("", "", ""), "not deployed"),
    ],
)
def test_the_record_says_how_it_ended(
    run: Run, tmp_path: Path, outcomes: tuple[str, str, str], result: str
) -> None:
    deploy, health, rollback = outcomes
    done = run(
        "record_deploy.py",
        *("--environment", "production", "--version", "1.2.3", "--image", "ghcr.io/o/n@sha256:0"),
        *("--commit", COMMIT, "--actor", "someone", "--url", "https://example.org"),
        *("--deploy", deploy, "--health", health, "--rollback", rollback),
        *("--output", tmp_path / "new" / "deployment.json"),
    )

    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "new" / "deployment.json").read_text())
    assert (record["result"], record["actor"], record["commit"]) == (result, "someone", COMMIT)
    assert f"## production: {result}" in done.stdout
    assert "| url | https://example.org |" in done.stdout


def notify(run: Run, **environment: str) -> Any:
    arguments = ("--result", "failure", "--what", "o/n 1.2.3 to production", "--link", "https://r")
    return run("notify.py", *arguments, env=environment)


def test_a_message_says_what_how_and_where(run: Run) -> None:
    with listening(lambda _: (200, {})) as server:
        done = notify(run, NOTIFY_WEBHOOK_URL=f"{server.url}/hook")

    assert (done.returncode, done.stdout) == (0, "")
    assert [asked.body for asked in server.asked] == [
        {"text": "❌ o/n 1.2.3 to production: failure\nhttps://r"}
    ]


def test_a_webhook_that_refuses_is_told_without_its_address(run: Run) -> None:
    with listening(lambda _: (403, {})) as server:
        done = notify(run, NOTIFY_WEBHOOK_URL=f"{server.url}/secret-part")

    assert done.returncode == 1 and "answered 403" in done.stderr
    assert "secret-part" not in done.stderr + done.stdout


def test_a_webhook_that_is_no_web_address_is_refused_without_repeating_it(run: Run) -> None:
    done = notify(run, NOTIFY_WEBHOOK_URL="file:///etc/passwd")

    assert done.returncode == 1 and "passwd" not in done.stderr


def test_without_a_webhook_the_message_is_skipped_in_a_sentence(run: Run) -> None:
    done = notify(run)

    assert (done.returncode, "NOTIFY_WEBHOOK_URL is not set" in done.stdout) == (0, True)


ANNOTATION = ("--environment", "production", "--version", "1.2.3", "--commit", COMMIT)


def test_a_deployment_is_marked_in_grafana_under_the_tag_that_dashboards_ask_for(run: Run) -> None:
    with listening(lambda _: (200, {"id": 1})) as server:
        environment = {"GRAFANA_URL": f"{server.url}/", "GRAFANA_TOKEN": "t0ken"}
        done = run("annotate.py", *ANNOTATION, env=environment)

    assert done.returncode == 0, done.stderr
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/annotations")
    assert asked.authorization == "Bearer t0ken"
    assert asked.body["tags"] == ["deploy", "production", "1.2.3"]


@pytest.mark.parametrize("environment", [{}, {"GRAFANA_URL": "http://x"}, {"GRAFANA_TOKEN": "t"}])
def test_without_grafana_the_mark_is_skipped_in_a_sentence(
    run: Run, environment: dict[str, str]
) -> None:
    done = run("annotate.py", *ANNOTATION, env=environment)

    assert (done.returncode, "is not set" in done.stdout) == (0, True)
