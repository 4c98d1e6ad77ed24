"""The running stack: its alerts and figures, and the ways to break it."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from command_error import CommandError
from deploy.docker_client import DockerClient

ANSWER_SECONDS = 10
STOP_SECONDS = 120


@dataclass(frozen=True)
class Stack:
    """Where the parts of the stack answer."""

    service: str
    prometheus: str
    alertmanager: str
    project: str
    token: str

    def set_fault(self, fault: dict[str, Any]) -> None:
        """Switch a fault on; every replica obeys within a second."""
        self._faults("POST", fault)

    def end_fault(self) -> None:
        """Switch it off, if there is one."""
        self._faults("DELETE")

    def stop(self, service: str) -> None:
        """Stop all of a service's containers."""
        self._docker("stop", service, "running")

    def start(self, service: str) -> None:
        """Start those that are stopped."""
        self._docker("start", service, "exited")

    def figure(self, query: str) -> float | None:
        """A query's single value now; None where there is none."""
        url = f"{self.prometheus}/api/v1/query?{urlencode({'query': query})}"
        result = _get_json(url)["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def alert_state(self, labels: dict[str, str]) -> str:
        """inactive, pending or firing, as Prometheus has it."""
        found = _get_json(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
        states = {one["state"] for one in found if labels.items() <= one["labels"].items()}
        return "firing" if "firing" in states else "pending" if states else "inactive"

    def alert_receivers(self, labels: dict[str, str]) -> list[str] | None:
        """The receivers of the alert in Alertmanager; None while it does not have the alert."""
        filters = [("filter", f'{name}="{value}"') for name, value in labels.items()]
        found = _get_json(f"{self.alertmanager}/api/v2/alerts?{urlencode(filters)}")
        active = [one for one in found if one["status"]["state"] == "active"]
        return [receiver["name"] for receiver in active[0]["receivers"]] if active else None

    def reaches_somebody(self, receiver: str) -> bool:
        """Whether the receiver has any way to reach a person."""
        text = _get_json(f"{self.alertmanager}/api/v2/status")["config"]["original"]
        block = text.partition(f"- name: {receiver}\n")[2].partition("- name:")[0]
        return "_configs:" in block

    def _faults(self, method: str, body: dict[str, Any] | None = None) -> None:
        request = urllib.request.Request(
            f"{self.service}/api/v1/demo/faults",
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):  # nosec B310
                return
        except urllib.error.HTTPError as error:
            hints = {
                404: "the demo endpoints are off: set DEMO_ENABLED=true in infrastructure/.env "
                "and run docker compose up -d",
                401: "the token is not one of API_TOKENS; name its file with --token-file",
                403: "the service has no API_TOKENS, and faults need one",
            }
            hint = hints.get(error.code, f"status {error.code}")
            raise CommandError(f"the service sets no fault: {hint}") from None
        except OSError as error:
            raise CommandError(f"{self.service} does not answer: {error}") from None

    def _docker(self, verb: str, service: str, status: str) -> None:
        """Run `docker VERB` on the service's containers that have this status."""
        docker = DockerClient()
        docker.project = self.project
        ids = [one.id for one in docker.containers(service) if one.status == status]
        if not ids:
            raise CommandError(
                f"no {status} container of {service} in the project {self.project}; "
                "name another with --project"
            )
        docker.docker(verb, *ids, seconds=STOP_SECONDS)


def _get_json(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:  # nosec B310
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise CommandError(f"{url.split('/api/')[0]} does not answer: {error}") from None
