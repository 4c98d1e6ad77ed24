"""A week on call, scaled down: eight incidents at times that nobody knows, and what is sent.

And an hour of saturation. The stack is the real one; traffic rises and falls as days do. All times
in rules and configuration are divided by `scaled.SPEED`, so an incident that pages after a minute
does so within seconds, and a night lasts one. Between the incidents happens what must not page.
"""

import itertools
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
import requests

from tests.e2e.scaled import SPEED, scaled_monitoring
from tests.e2e.stack import Stack, docker, new_stack, started
from tests.e2e.watched import Watched, helpers
from tests.support.load import Load, Request, statuses
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2_400)]

MONITORING = {
    "prometheus": "/etc/prometheus",
    "alertmanager-config": "/etc/alertmanager",
    "alertmanager": "/etc/alertmanager",
}
DAY_SECONDS = 90
HOUR_SECONDS = 3600 / SPEED
RATE = 25  # requests a second at noon; a tenth of it at night
NOT_COUNTED = "/health/live"
OWN_SECONDS = 25  # of containers that stop, and programs that time out: these are not divided


@dataclass(frozen=True)
class Incident:
    name: str
    break_it: Callable[[Stack], AbstractContextManager[None]]
    told_by: set[str]
    """Any of these alerts is a right name for it."""
    within: float = 180.0
    """Seconds at real speed."""
    pages: bool = True


@contextmanager
def faults(stack: Stack, **fault: float) -> Iterator[None]:
    address = f"{stack.http}/api/v1/demo/faults"
    headers = {"Authorization": f"Bearer {stack.token}"}
    body = {"duration_seconds": 300, "route": "/api/v1/*", **fault}
    requests.post(address, json=body, headers=headers, timeout=10).raise_for_status()
    yield
    requests.delete(address, headers=headers, timeout=10).raise_for_status()


@contextmanager
def stopped(*containers: str) -> Iterator[None]:
    docker("stop", "--timeout", "1", *containers)
    yield
    docker("start", *containers)


@contextmanager
def hung(stack: Stack, service: str) -> Iterator[None]:
    docker("pause", *stack.containers(service))
    yield
    docker("unpause", *stack.containers(service))


USERS = {"ErrorBudgetBurnsFast", "ServiceUnreachable"}
INCIDENTS = [
    Incident("a fifth fails", lambda on: faults(on, error_rate=0.2), USERS),
    Incident("everything fails", lambda on: faults(on, error_rate=1.0), USERS),
    # 43 % of ten minutes' requests must have been slow: it takes longest while traffic falls.
    Incident("everything is slow", lambda on: faults(on, latency_ms=400), USERS, within=330.0),
    Incident("no replica", lambda on: stopped(*on.containers("web")), USERS),
    Incident("no nginx", lambda on: stopped(*on.containers("nginx")), USERS),
    Incident("Redis hangs", lambda on: hung(on, "redis"), {"RedisDown", *USERS}),
    Incident(
        "Redis is stopped", lambda on: stopped(*on.containers("redis")), {"RedisDown", *USERS}
    ),
    Incident(
        "one replica is gone",
        lambda on: stopped(on.containers("web")[0]),
        {"ReplicaMissing"},
        pages=False,
    ),
]


def harmless(stack: Stack) -> list[Callable[[], object]]:
    """What happens in any week and must wake nobody."""
    replica = stack.containers("web")[0]
    return [
        lambda: docker("restart", replica),
        lambda: docker("restart", *stack.containers("redis-exporter")),
        lambda: docker("restart", *stack.containers("prometheus")),
        lambda: [
            requests.get(f"{stack.http}/api/v1/demo/status/503", timeout=5) for _ in range(50)
        ],
        lambda: [requests.get(f"{stack.http}/no/such/page", timeout=5) for _ in range(200)],
    ]


@contextmanager
def unscraped(stack: Stack, service: str) -> Iterator[None]:
    """Its first container goes on, but Prometheus cannot reach it."""
    container, network = stack.containers(service)[0], f"{stack.project}_monitoring"
    docker("network", "disconnect", network, container)
    yield
    docker("network", "connect", "--alias", service, network, container)


def scrape_gaps(stack: Stack) -> list[Callable[[], AbstractContextManager[None]]]:
    return [
        lambda: hung(stack, "prometheus"),
        lambda: stopped(*stack.containers("prometheus")),
        lambda: hung(stack, "blackbox-exporter"),
        lambda: unscraped(stack, "web"),
    ]


@pytest.fixture
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("week")
    overlay = scaled_monitoring(folder, MONITORING)
    running = new_stack(folder, "week")
    running.files += (overlay,)
    with started(running) as missing, helpers(running, recorded="cadvisor" in missing):
        found = Watched(running, "cadvisor" in missing)
        wait_until(found.all_targets_answer, seconds=90, interval=1, why="all targets answer")
        yield found


@contextmanager
def traffic(stack: Stack) -> Iterator[Load]:
    """Requests of users, many by day and few by night; reads and writes of what needs Redis."""
    begun = time.monotonic()
    token = {"Authorization": f"Bearer {stack.token}", "Content-Type": "application/json"}
    kinds = [
        Request("GET", "/api/v1/info"),
        Request("GET", "/api/v1/items"),
        Request("PUT", "/api/v1/cache/week", b"1", token),
        Request("GET", "/api/v1/cache/week"),
    ]

    def requests_of_the_day() -> Iterator[Request]:
        while True:
            hour = 2 * math.pi * (time.monotonic() - begun) / DAY_SECONDS
            light = 0.6 - 0.4 * math.cos(hour)  # 0.2 at midnight, 1 at noon
            if random.random() < light:  # nosec B311
                yield random.choice(kinds)  # nosec B311
            else:
                yield Request("GET", NOT_COUNTED)

    with Load(
        stack.http, requests_of_the_day(), connections=100, rate=RATE, seconds=math.inf
    ) as load:
        yield load


class Pager:
    """What Alertmanager has sent. A page is a group's first message since it was last resolved."""

    def __init__(self, week: Watched) -> None:
        self._week = week

    def pages(self) -> list[set[str]]:
        """The alerts' names in each page, with those that joined it later."""
        pages: list[set[str]] = []
        open_pages: dict[str, set[str]] = {}
        for message in self._week.messages():
            if message["receiver"] != "page":
                continue
            names = {one["labels"]["alertname"] for one in message["alerts"]}
            if message["status"] == "resolved":
                open_pages.pop(message["groupKey"], None)
            elif message["groupKey"] in open_pages:
                open_pages[message["groupKey"]].update(names)
            else:
                open_pages[message["groupKey"]] = names
                pages.append(names)
        return pages

    def told(self, receiver: str) -> set[str]:
        """Names of the alerts that fire in the last message of each group to this receiver.

        One that is inhibited meanwhile is left out of its group's messages, and never called over.
        """
        state: dict[str, set[str]] = {}
        for message in self._week.messages():
            if message["receiver"] == receiver:
                firing = [one for one in message["alerts"] if one["status"] == "firing"]
                state[message["groupKey"]] = {one["labels"]["alertname"] for one in firing}
        return set().union(*state.values())


def test_every_incident_pages_once_and_nothing_else_does(week: Watched) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    chance = random.Random(seed)  # nosec B311
    incidents = chance.sample(INCIDENTS, len(INCIDENTS))
    pager = Pager(week)
    with traffic(week.stack) as load:
        time.sleep(60)  # the first hours of the week
        assert not pager.pages(), "paged before anything has happened"
        for number, incident in enumerate(incidents):
            pages = pager.pages()
            chance.choice(harmless(week.stack))()
            time.sleep(chance.uniform(15, 45))
            assert pager.pages() == pages, f"paged before {incident.name!r}"
            hold(week, incident, pager)
    counted = week.value('sum(edge_requests_total{traffic="users", status=~"5.."})')
    seen = sum(answer.status >= 500 and answer.path != NOT_COUNTED for answer in load.answers)
    print(f"{number + 1} incidents; {seen} bad answers seen by clients, {counted:.0f} counted")
    assert counted == pytest.approx(seen, rel=0.01)


def hold(week: Watched, incident: Incident, pager: Pager) -> None:
    """Break it until somebody is told, repair it, and wait until they know that it is over."""
    before = len(pager.pages())
    begun = time.monotonic()
    with incident.break_it(week.stack):
        receiver = "page" if incident.pages else "ticket"
        wait_until(
            lambda: bool(incident.told_by & pager.told(receiver)),
            seconds=incident.within / SPEED + OWN_SECONDS,
            interval=0.5,
            why=f"{incident.name!r} is told",
        )
        print(f"{incident.name}: told after {time.monotonic() - begun:.0f} s")
        time.sleep(10)
    wait_until(
        lambda: not pager.told("page") and not pager.told(receiver) & incident.told_by,
        seconds=300,
        interval=1,
        why=f"{incident.name!r} is over",
    )
    time.sleep(20)  # what it had inhibited must not come now
    new = pager.pages()[before:]
    assert len(new) == incident.pages, f"{incident.name!r} paged: {new}"


def test_an_hour_of_saturation_and_scrape_gaps_says_nothing_false(week: Watched) -> None:
    """Every request thread waits on slow work. No deployment took place, and users are served."""
    # A second in a real hour: probes, whose time-out is scaled too, wait behind them.
    slow = [("GET", f"/api/v1/demo/delay/{1 / SPEED}")]
    gaps = itertools.cycle(scrape_gaps(week.stack))
    begun = time.monotonic()
    # More than there are threads, less than may wait for one.
    with Load(week.stack.http, slow, connections=48, seconds=math.inf) as load:
        while time.monotonic() - begun < HOUR_SECONDS:
            time.sleep(random.uniform(20, 40))  # nosec B311
            with next(gaps)():
                time.sleep(random.uniform(2, 8))  # nosec B311
    wait_until(week.all_targets_answer, seconds=60, why="Prometheus sees all again")

    told = {one["labels"]["alertname"] for message in week.messages() for one in message["alerts"]}
    # The first version's mark, before the hour, and no other.
    marks = week.query(f"count_over_time(deploy:version:changed[{2 * HOUR_SECONDS:.0f}s])")
    print(f"{statuses(load.answers)}; told: {sorted(told)}")
    assert "RequestCapacityNearlyUsed" in told
    assert not told & {"ServiceUnreachable", "ReplicaMissing", "TargetMissing", "WorkersDie"}
    assert [mark["value"][1] for mark in marks] == ["1"]
