"""scripts/drill.sh: break it, see the alert, repair it, see the alert end."""

import argparse
import json
import math
import os
import signal
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import command_error
import env_file
from command_error import CommandError
from deploy.docker_client import DockerClient
from http_json import get_json

from tests.support.load import Answer, Load

INFRASTRUCTURE = Path(__file__).resolve().parents[2] / "infrastructure"
STARTED = time.monotonic()
POLL_SECONDS, PRINT_SECONDS = 2, 15
ANSWER_SECONDS, STOP_SECONDS = 15, 120
CONNECTIONS = 32
FAULT_SECONDS = 900  # the longest that the service accepts; the drill ends the fault before
DESCRIPTION = """\
Breaks the running stack on purpose, follows the alert through Prometheus and Alertmanager, repairs
what was broken and waits for the alert to end. Ctrl-C repairs it too.
"""
EPILOG = """\
Addresses follow HTTP_PORT, PROMETHEUS_PORT and ALERTMANAGER_PORT, from the environment or
infrastructure/.env.

exit status: 0 the alert fired and ended; 1 it did not; 2 the drill could not be held; 130 Ctrl-C
"""


@dataclass(frozen=True)
class Drill:
    """One drill: it sets a fault, or stops a service."""

    what: str
    why: str  # the alert follows, and when
    alert: dict[str, str]  # labels of the alert that must fire
    watch: dict[str, str]  # figures to print meanwhile: a name for each query
    paths: tuple[str, ...]  # requested by the simulated users
    fault: dict[str, float] = field(default_factory=dict)
    stops: str = ""


def _burn(slo: str) -> dict[str, Any]:
    return {
        "alert": {"alertname": "ErrorBudgetBurnsFast", "slo": slo},
        "watch": {
            "burn rate over 10 min": f'slo:burn_rate:10m{{slo="{slo}"}}',
            "over 1 min": f'slo:burn_rate:1m{{slo="{slo}"}}',
            "bad requests": f'slo:bad:increase10m{{slo="{slo}"}}',
        },
        "paths": ("/api/v1/info", "/api/v1/items"),
    }


DRILLS = {
    "errors": Drill(
        what="Every fifth request to /api/v1/* is answered with 500.",
        why=(
            "20 % errors burn the budget of 99.9 % 200 times too fast. The alert waits until the "
            "last ten minutes as a whole burn above 43.2 and have ten errors: soon on a new stack, "
            "after little more than two minutes on one that carried the same traffic before."
        ),
        fault={"error_rate": 0.2},
        **_burn("availability"),
    ),
    "latency": Drill(
        what="Every request to /api/v1/* takes 400 ms longer.",
        why=(
            "All of them miss the 250 ms that 99 % must keep: the budget burns 100 times too fast. "
            "The alert waits until the last ten minutes as a whole burn above 43.2."
        ),
        fault={"latency_ms": 400},
        **_burn("latency"),
    ),
    "redis-down": Drill(
        what="Redis is stopped.",
        why=(
            "Its exporter gets no answer for half a minute. The service goes on without a cache: "
            "/health says degraded, items and sessions answer 503, everything else 200."
        ),
        alert={"alertname": "RedisDown"},
        watch={"redis_up": "redis_up", "open circuits": "count(cache_circuit_state > 0)"},
        paths=("/api/v1/info", "/"),
        stops="redis",
    ),
    "web-down": Drill(
        what="Every replica of the service is stopped.",
        why=(
            "The probes through nginx fail for half a minute. The users' 502s follow from it and "
            "are silenced: one page, not two."
        ),
        alert={"alertname": "ServiceUnreachable"},
        watch={"replicas": 'sum(up{job="web"})', "probes": "min(probe_success)"},
        paths=("/api/v1/info",),
        stops="web",
    ),
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options; wrong ones end the program with one line and status 2."""
    settings = env_file.read(INFRASTRUCTURE / ".env") | os.environ
    width = max(map(len, DRILLS))
    drills = "\n".join(f"  {name:{width}}  {drill.what}" for name, drill in DRILLS.items())
    parser = argparse.ArgumentParser(
        prog="drill.sh",
        description=f"{DESCRIPTION}\ndrills:\n{drills}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", choices=DRILLS, metavar="NAME", help="one of the drills above")
    for option, variable, port in (
        ("url", "HTTP_PORT", 8080),
        ("prometheus", "PROMETHEUS_PORT", 9090),
        ("alertmanager", "ALERTMANAGER_PORT", 9093),
    ):
        url = f"http://127.0.0.1:{settings.get(variable) or port}"
        add(f"--{option}", default=url, metavar="URL", help=f"default {url}")
    token = INFRASTRUCTURE / "secrets" / "api_token"
    text = "contains one of API_TOKENS; default infrastructure/secrets/api_token"
    add("--token-file", type=Path, default=token, metavar="FILE", help=text)
    project = settings.get("COMPOSE_PROJECT_NAME") or "devops-starter"
    add("--project", default=project, help=f"Compose project; default {project}")
    add("--rate", type=float, default=20, metavar="N", help="requests a second; default 20")
    text = "requests a second after the repair; default --rate. A higher one ends the alert sooner"
    add("--recovery-rate", type=float, metavar="N", help=text)
    text = "how long the alert may take to fire, and to end; default 900"
    add("--wait", type=float, default=900, metavar="SECONDS", help=text)
    return parser.parse_args(arguments)


class Stack:
    """The running stack: its alerts and figures, and the ways to break it."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        try:
            self._token = given.token_file.read_text(encoding="utf-8").split()[0]
        except (OSError, IndexError):
            hint = "name another file with --token-file"
            raise CommandError(f"{given.token_file} contains no token; {hint}") from None
        if urlsplit(given.url).scheme != "http":
            raise CommandError(f"--url must be http://HOST:PORT, not {given.url}")

    def break_(self, drill: Drill) -> None:
        """Stop all containers of the drill's service, or set its fault on every replica."""
        if not drill.stops:
            limits = {"route": "/api/v1/*", "duration_seconds": FAULT_SECONDS}
            self._faults("POST", drill.fault | limits)
        elif not self._docker("stop", drill.stops, "running"):
            project = f"{self._given.project}; name another with --project"
            raise CommandError(f"no running container of {drill.stops} in the project {project}")

    def repair(self, drill: Drill) -> None:
        if drill.stops:
            self._docker("start", drill.stops, "exited")
        else:
            self._faults("DELETE")

    def figure(self, query: str) -> str:
        """A query's single value now."""
        url = f"{self._given.prometheus}/api/v1/query?{urlencode({'query': query})}"
        result = get_json(url)["data"]["result"]
        return f"{float(result[0]['value'][1]):.3g}" if result else "none"

    def alert_state(self, labels: dict[str, str]) -> str:
        """inactive, pending or firing, as Prometheus has it."""
        found = get_json(f"{self._given.prometheus}/api/v1/alerts")["data"]["alerts"]
        states = {one["state"] for one in found if labels.items() <= one["labels"].items()}
        return "firing" if "firing" in states else "pending" if states else "inactive"

    def alert_receivers(self, labels: dict[str, str]) -> list[str]:
        """The receivers of the alert; none while Alertmanager does not have it."""
        filters = [("filter", f'{name}="{value}"') for name, value in labels.items()]
        found = get_json(f"{self._given.alertmanager}/api/v2/alerts?{urlencode(filters)}")
        active = [one for one in found if one["status"]["state"] == "active"]
        return [receiver["name"] for receiver in active[0]["receivers"]] if active else []

    def reaches_somebody(self, receiver: str) -> bool:
        """Whether the receiver has any way to reach a person."""
        text = get_json(f"{self._given.alertmanager}/api/v2/status")["config"]["original"]
        block = text.partition(f"- name: {receiver}\n")[2].partition("- name:")[0]
        return "_configs:" in block

    def _faults(self, method: str, body: dict[str, Any] | None = None) -> None:
        request = urllib.request.Request(
            f"{self._given.url}/api/v1/demo/faults",
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
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
            raise CommandError(f"{self._given.url} does not answer: {error}") from None

    def _docker(self, verb: str, service: str, status: str) -> list[str]:
        """Run `docker VERB` on the service's containers that have this status."""
        docker = DockerClient()
        docker.project = self._given.project
        ids = [one.id for one in docker.containers(service) if one.status == status]
        if ids:
            docker.docker(verb, *ids, seconds=STOP_SECONDS)
        return ids


def users(drill: Drill, given: argparse.Namespace, rate: float) -> Load:
    """Simulated users, who request the drill's paths in turn, so many times a second."""
    requests = [("GET", path) for path in drill.paths]
    limits: dict[str, Any] = {"connections": CONNECTIONS, "timeout": ANSWER_SECONDS}
    return Load(given.url, requests, rate=rate, seconds=math.inf, **limits)


def kinds(answers: Iterable[Answer]) -> str:
    """How many answers there were of each kind; `none` is a request without an answer."""
    found = Counter(f"{one.status // 100}xx" if one.status > 0 else "none" for one in answers)
    return ", ".join(f"{n} {kind}" for kind, n in sorted(found.items())) or "none"


def hold(drill: Drill, stack: Stack, given: argparse.Namespace) -> int:
    """Go through the drill; 0 if the alert fired and ended."""
    name = drill.alert["alertname"]
    if (state := stack.alert_state(drill.alert)) != "inactive":
        raise CommandError(f"{name} is {state} already; wait until it has ended")
    tell(f"{drill.what} {drill.why}")
    tell(f"Simulated users request {' and '.join(drill.paths)}, {given.rate:g} times a second.")
    with users(drill, given, given.rate) as load:
        try:
            stack.break_(drill)
            tell(f"Broken. Waiting for {name}.")
            fired = follow(drill, stack, load, "firing", given.wait)
            for receiver in stack.alert_receivers(drill.alert) if fired else []:
                silent = not stack.reaches_somebody(receiver)
                nobody = ", which reaches nobody: none is set" if silent else ""
                tell(f"Alertmanager has it and sends it to the receiver {receiver!r}{nobody}.")
        finally:
            stack.repair(drill)
    tell("Repaired.")
    if not fired:
        return 1
    with users(drill, given, given.recovery_rate or given.rate) as later:
        ended = follow(drill, stack, later, "inactive", given.wait)
    tell(f"The users got {kinds(load.answers + later.answers)}.")
    if ended:
        tell(f"{name} has ended. Its runbook: docs/MONITORING.md#{name.lower()}")
    return 0 if ended else 1


def follow(drill: Drill, stack: Stack, load: Load, state: str, seconds: float) -> bool:
    """Wait until Prometheus and Alertmanager have this state of the alert; print figures."""
    deadline, printed, before = time.monotonic() + seconds, 0.0, ""
    while True:
        now = stack.alert_state(drill.alert)
        if now != before or time.monotonic() - printed > PRINT_SECONDS:
            figures = [f"{name} {stack.figure(query)}" for name, query in drill.watch.items()]
            tell(f"{now:8}  {', '.join(figures)}; answers {kinds(load.answers)}")
            printed, before = time.monotonic(), now
        if now == state and bool(stack.alert_receivers(drill.alert)) == (state == "firing"):
            return True
        if time.monotonic() > deadline:
            print(f"error: not within {seconds:g} s: the alert is {state}", file=sys.stderr)
            return False
        time.sleep(POLL_SECONDS)


def tell(text: str) -> None:
    """A line with the time since the start, wrapped."""
    minutes, seconds = divmod(int(time.monotonic() - STARTED), 60)
    wrapped = textwrap.fill(text, 100, subsequent_indent=" " * 7)
    print(f"{minutes:02}:{seconds:02}  {wrapped}", flush=True)


def main() -> int:
    given = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return hold(DRILLS[given.name], Stack(given), given)
    except KeyboardInterrupt:
        print("interrupted; what was broken is repaired", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(command_error.run(main, failure=2))
