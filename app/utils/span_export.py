"""Sends spans to a collector: OTLP over HTTP, in batches, from a thread of each worker.

No request waits for it. Spans are in a queue of limited size until they are sent, and those that do
not fit, because the collector is slow, full or unavailable, are lost and counted.
"""

import http.client
import logging
import math
import os
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from urllib.parse import urlsplit

from app.config import Settings
from app.utils import otlp
from app.utils.spans import Trace, Value

QUEUE_SPANS = 4096
BATCH_SPANS = 512
INTERVAL_SECONDS = 1.0
STOP_SECONDS = 2.0
# Seconds before each repetition. The first is for a connection that the collector has closed.
PAUSES = (0.0, 1.0, 2.0, 4.0)
# Of an answer, as bytes. A collector has little to say.
MAX_ANSWER = 65536
# OTLP repeats a batch after these. After any other status it would be refused again.
RETRIED = {429, 502, 503, 504}

log = logging.getLogger("app.tracing")


class SpanExport:
    """The queue and its thread; made after the fork, which a thread would not survive."""

    def __init__(self, settings: Settings) -> None:
        self._stopping = threading.Event()
        self._collector = Collector(settings, self._stopping)
        # Encoded: objects would be work for the garbage collector as long as they wait.
        self._queue: deque[bytes] = deque()
        self._wake = threading.Event()
        # A daemon: the end of the process does not wait for it.
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def put(self, trace: Trace) -> None:
        """Queue a request's spans: all of them or, if the queue is full, none."""
        if len(self._queue) + len(trace.ended) > QUEUE_SPANS:
            self._collector.lost(len(trace.ended), "it is too slow")
            return
        self._queue.extend(map(otlp.span, trace.ended))
        if len(self._queue) >= BATCH_SPANS:
            self._wake.set()

    def use(self, settings: Settings) -> None:
        """Send the headers of these settings from now on."""
        self._collector.headers = settings.otel_exporter_otlp_headers

    def stop(self) -> None:
        """Send what is queued. A collector that does not take it in time gets nothing more."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            self._collector.lost(len(self._queue), "it did not answer before the worker stopped")

    def _run(self) -> None:
        last = False
        while not last:
            self._wake.wait(INTERVAL_SECONDS)
            self._wake.clear()
            last = self._stopping.is_set()
            while self._queue:
                size = min(len(self._queue), BATCH_SPANS)
                self._collector.send([self._queue.popleft() for _ in range(size)])


class Collector:  # pylint: disable=too-many-instance-attributes
    """The connection to the collector, open between batches; the export's thread uses it."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        """`stopping` is set when there is no more time for pauses."""
        self.headers: Mapping[str, str] = settings.otel_exporter_otlp_headers
        url = urlsplit(settings.traces_url)
        https = url.scheme == "https"
        connect = http.client.HTTPSConnection if https else http.client.HTTPConnection
        self._connection = connect(url.hostname or "", url.port or connect.default_port)
        self._path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._seconds = settings.otel_exporter_otlp_timeout / 1000
        self._resource = otlp.attributes(1, _resource(settings))
        self._stopping = stopping
        self._lock = threading.Lock()
        self._failing = False
        self._lost = 0
        self._lost_before = 0

    def send(self, spans: list[bytes]) -> None:
        """Send a batch, again if that may help, within OTEL_EXPORTER_OTLP_TIMEOUT."""
        payload = otlp.request(spans, self._resource)
        deadline = time.monotonic() + self._seconds
        problem = ""
        for pause in (*PAUSES, math.inf):
            problem, least = self._post(payload, deadline - time.monotonic())
            if not problem:
                self._succeeded()
                return
            pause = max(pause, least)
            if time.monotonic() + pause > deadline:
                break
            if pause:
                self._warn(problem)
                if self._stopping.wait(pause):
                    break
        self.lost(len(spans), problem)

    def lost(self, number: int, why: str) -> None:
        """Count lost spans."""
        with self._lock:
            self._lost += number
        self._warn(why)

    def _post(self, payload: bytes, seconds: float) -> tuple[str, float]:
        """What went wrong, in words, and how long to wait before a repetition (infinity: none)."""
        connection, timeout = self._connection, max(seconds, 0.1)
        headers = {"Content-Type": "application/x-protobuf", **self.headers}
        try:
            connection.timeout = timeout
            if connection.sock:
                connection.sock.settimeout(timeout)
            connection.request("POST", self._path, payload, headers)
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER)
            if not answer.isclosed():  # more follows, which is not needed
                connection.close()
        except (OSError, ValueError, http.client.HTTPException) as error:  # a name may be invalid
            connection.close()
            return f"{type(error).__name__}: {error}", 0
        if answer.status < 300:
            if rejected := otlp.rejected_spans(body):
                self.lost(rejected, "it rejects some of them")
            return "", 0
        wait = math.inf
        if answer.status in RETRIED:
            after = answer.headers.get("Retry-After", "")
            wait = float(after) if re.fullmatch("[0-9]+", after) else PAUSES[1]
        return f"it answers {answer.status}", wait

    def _warn(self, why: str) -> None:
        """Log that there is a problem, once until it is over."""
        with self._lock:
            said, self._failing = self._failing, True
        if not said:
            where = f"{self._connection.host}:{self._connection.port}"
            log.warning("The collector at %s does not take all traces: %s", where, why)

    def _succeeded(self) -> None:
        with self._lock:
            # A slow collector succeeds between two losses.
            over = self._failing and self._lost == self._lost_before
            self._lost_before = lost = self._lost
            if over:
                self._failing, self._lost, self._lost_before = False, 0, 0
        if over:
            log.info("The collector takes all traces again; %d spans were lost", lost)


def _resource(settings: Settings) -> dict[str, Value]:
    """What the service is. Its instance is that of the log; a worker is known by its process ID."""
    named = {"service.name": settings.otel_service_name} if settings.otel_service_name else {}
    return {
        "service.name": settings.service_name,
        "service.version": settings.version,
        "deployment.environment.name": settings.environment,
        **settings.otel_resource_attributes,
        **named,
        "service.instance.id": settings.instance,
        "process.pid": os.getpid(),
        "telemetry.sdk.language": "python",
    }
