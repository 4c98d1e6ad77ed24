"""A failure sends an alert, and its end sends the resolution.

The drills are the ones people hold by hand (scripts/drill.sh), with the real rules and windows.
They are short here because the stack is new: its last minutes hold little good traffic for the
errors to hide in, and plenty of it afterwards thins them out again.
"""

import os
from typing import Any

import pytest

from tests.e2e.watched import Watched
from tests.support.paths import ROOT
from tests.support.processes import run, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def test_errors_on_demand_page_by_the_webhook_and_resolve(watched: Watched) -> None:
    hold(watched, "errors", "--rate", "5", "--recovery-rate", "100")

    fired, resolved = both_messages(watched, "ErrorBudgetBurnsFast")
    assert fired["receiver"] == "page"
    assert fired["labels"]["slo"] == "availability"
    assert fired["annotations"]["summary"].startswith("The availability budget burns ")
    runbook = "https://git.example.com/docs/MONITORING.md#errorbudgetburnsfast"
    assert fired["annotations"]["runbook_url"] == runbook
    dashboard = f"http://localhost:{watched.stack.settings['GRAFANA_PORT']}/d/ds-slo"
    assert fired["annotations"]["dashboard_url"] == dashboard
    assert not {"runbooks", "grafana"} & fired["labels"].keys()
    assert resolved["endsAt"] > fired["startsAt"]


def test_redis_stopped_pages_by_the_webhook_and_resolves(watched: Watched) -> None:
    hold(watched, "redis-down")

    fired, _resolved = both_messages(watched, "RedisDown")
    assert fired["receiver"] == "page"
    assert fired["labels"]["severity"] == "critical"


def test_a_stopped_redis_silences_the_alerts_it_causes(watched: Watched) -> None:
    told_before = len(watched.received("CacheCircuitOpen"))
    watched.stack.compose("stop", "redis")
    try:
        # CacheCircuitOpen takes two minutes, RedisDown half of one.
        wait_until(
            lambda: "RedisDown" in watched.silenced_by("CacheCircuitOpen"),
            seconds=300,
            interval=2,
            why="Alertmanager knows of the open circuits and keeps them to itself",
        )
    finally:
        watched.stack.compose("start", "redis")

    # RedisDown fires on for eight minutes, so that nothing it silences comes after it.
    wait_until(
        lambda: not watched.alerts("firing") & {"RedisDown", "CacheCircuitOpen"},
        seconds=600,
        interval=2,
        why="both are over",
    )
    assert len(watched.received("CacheCircuitOpen")) == told_before


def hold(watched: Watched, name: str, *options: str) -> None:
    stack = watched.stack
    done = run(
        [
            *(ROOT / "scripts" / "drill.sh", name, "--project", stack.project),
            *("--url", stack.http, "--prometheus", stack.prometheus),
            *("--alertmanager", stack.alertmanager),
            *("--token-file", stack.folder / "secrets" / "api_token"),
            *("--wait", "600", *options),
        ],
        env=os.environ | {"NO_COLOR": "1"},
        seconds=1200,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def both_messages(watched: Watched, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first message that an alert fires and the first that it is over."""

    def first(status: str) -> dict[str, Any] | None:
        return next((one for one in watched.received(name) if one["status"] == status), None)

    # Alertmanager sends news of a group each 30 seconds (group_interval of the receiver `page`).
    wait_until(lambda: first("resolved"), seconds=120, interval=2, why=f"{name} is reported over")
    fired, resolved = first("firing"), first("resolved")
    assert fired and resolved
    return fired, resolved
