"""A running stack and its monitoring; the fixture `watched` makes one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.e2e.prometheus import Prometheus
from tests.e2e.stack import Stack, docker

HERE = Path(__file__).parent


@dataclass
class Watched(Prometheus):
    """A running stack and its monitoring."""

    stack: Stack
    recorded: bool
    """Whether cAdvisor is a recording."""

    def __post_init__(self) -> None:
        super().__init__(self.stack.prometheus)

    def silenced_by(self, name: str) -> set[str]:
        """Names of the alerts that inhibit this one in Alertmanager."""
        known = requests.get(f"{self.stack.alertmanager}/api/v2/alerts", timeout=30).json()
        names = {alert["fingerprint"]: alert["labels"]["alertname"] for alert in known}
        return {
            names[source]
            for alert in known
            if alert["labels"]["alertname"] == name
            for source in alert["status"]["inhibitedBy"]
        }

    def received(self, name: str) -> list[dict[str, Any]]:
        """An alert's notifications at the webhook, oldest first, each with its `receiver`."""
        return [
            alert | {"receiver": message["receiver"]}
            for message in self.messages()
            for alert in message["alerts"]
            if alert["labels"]["alertname"] == name
        ]

    def messages(self) -> list[dict[str, Any]]:
        """All messages at the webhook, oldest first (prometheus.io, "webhook_config")."""
        lines = docker("logs", f"{self.stack.project}-alert-receiver").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def all_targets_answer(self) -> bool:
        targets = self.ask("targets")["activeTargets"]
        jobs = {target["scrapePool"] for target in targets}
        return {target["health"] for target in targets} == {"up"} and {"web", "cadvisor"} <= jobs


@contextmanager
def helpers(stack: Stack, *, recorded: bool) -> Iterator[None]:
    """The receiver of alerts and, if `recorded`, a target in cAdvisor's place."""
    try:
        _run_helper(stack, "alert-receiver", "notify", "alert_receiver.py")
        if recorded:
            recording = f"{HERE / 'recorded' / 'cadvisor'}:/recorded:ro"
            _run_helper(
                stack, "cadvisor", "monitoring", "recorded_target.py", "--volume", recording
            )
        yield
    finally:
        names = (f"{stack.project}-{name}" for name in ("alert-receiver", "cadvisor"))
        docker("rm", "--force", *names, check=False)


def _run_helper(stack: Stack, name: str, network: str, program: str, *options: str) -> None:
    """Start one of the programs beside this file as a container that the stack knows by `name`."""
    docker(
        *("run", "--detach", "--name", f"{stack.project}-{name}"),
        *("--network", f"{stack.project}_{network}", "--network-alias", name),
        *("--volume", f"{HERE / program}:/program.py:ro", *options),
        # The image's own label would make it a container of `web`.
        *("--label", f"com.docker.compose.service={name}"),
        *(stack.settings["WEB_IMAGE"], "python", "/program.py"),
    )
