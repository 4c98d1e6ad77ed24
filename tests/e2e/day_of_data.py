"""A Prometheus with a day of data: a running one's series, as if they had been scraped all day.

The samples are sent by remote write, whose format (protobuf, then snappy) takes a few lines; one
sample each 15 seconds, as prometheus.yml scrapes.
"""

import functools
import math
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

import requests

from tests.e2e.stack import docker
from tests.support.processes import free_port, wait_until

DAY = 24 * 3600
SCRAPE = 15
SLICE = 1800  # seconds written at a time, for all series
COURSES = 7  # different shapes of a series


@contextmanager
def prometheus_with_a_day(
    image: str, series: list[dict[str, str]], rarely: Mapping[str, int]
) -> Iterator[str]:
    """The URL of a Prometheus that holds a day of each of these series.

    Args:
        image: Prometheus's.
        series: the labels of each.
        rarely: metrics that have a sample less often than targets are scraped, and the seconds
            between two.
    """
    name, port = f"day-of-data-{free_port()}", free_port()
    docker(
        *("run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:9090", image),
        *("--config.file=/dev/null", "--storage.tsdb.path=/prometheus"),
        "--web.enable-remote-write-receiver",
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _ready(url), seconds=60, interval=0.2, why="Prometheus is ready")
        labels = [(_labels(one), rarely.get(one["__name__"], SCRAPE)) for one in series]
        end = int(time.time())
        for start in range(end - DAY, end, SLICE):
            _write(url, labels, start)
        yield url
    finally:
        docker("rm", "--force", "--volumes", name)


def slowest(
    url: str, queries: Iterable[tuple[str, str, bool]], *, limit: float
) -> list[tuple[float, str]]:
    """Milliseconds each query takes over the whole day, the slowest first.

    Each is sent up to ten times, until it is within the limit; the best time counts, because other
    programs on the machine only add to it.

    Args:
        url: of the Prometheus.
        queries: name, expression, and whether it is asked for one moment only.
        limit: milliseconds that are quick enough.
    """
    found = []
    for name, expression, instant in queries:
        best = math.inf
        for _ in range(10):
            best = min(best, _milliseconds(url, expression, instant))
            if best < limit:
                break
        found.append((round(best, 1), name))
    return sorted(found, reverse=True)


def _milliseconds(url: str, expression: str, instant: bool) -> float:
    now, path = int(time.time()), "/api/v1/query" if instant else "/api/v1/query_range"
    parameters: dict[str, str | int] = {"query": expression}
    if not instant:
        parameters |= {"start": now - DAY, "end": now, "step": 120}
    started = time.perf_counter()
    answer = requests.get(url + path, params=parameters, timeout=60)
    elapsed = 1000 * (time.perf_counter() - started)
    assert answer.status_code == 200, answer.text
    return elapsed


def _ready(url: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"{url}/-/ready", timeout=5).ok
    return False


def _write(url: str, series: list[tuple[bytes, int]], start: int) -> None:
    samples = functools.cache(_samples)
    body = b"".join(
        _field(1, labels + samples(start, number % COURSES, seconds))
        for number, (labels, seconds) in enumerate(series)
    )
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    answer = requests.post(f"{url}/api/v1/write", _snappy(body), headers=headers, timeout=60)
    assert answer.status_code == 204, answer.text


def _labels(series: dict[str, str]) -> bytes:
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode()))
        for name, value in sorted(series.items())
    )


def _samples(start: int, course: int, seconds: int) -> bytes:
    """A counter that grows by a rate that rises and falls within hours."""
    found = []
    for at in range(start, start + SLICE, seconds):
        value = round((course + 2) * (at % 1e7) + 4000 * math.sin(at / 3600 + course), 3)
        found.append(_field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(at * 1000)))
    return b"".join(found)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low, high = number & 127, number >> 7
    return bytes([low | 128]) + _varint(high) if high else bytes([low])


def _snappy(content: bytes) -> bytes:
    """Snappy's block format with nothing compressed: literals of at most 64 KiB."""
    parts = [_varint(len(content))]
    for start in range(0, len(content), 65_536):
        literal = content[start : start + 65_536]
        parts += [bytes([61 << 2]), struct.pack("<H", len(literal) - 1), literal]
    return b"".join(parts)
