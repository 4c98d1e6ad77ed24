"""The variants of the service and its peers, and how each is started."""

import json
import secrets
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.performance.machine import Cores
from tests.performance.process import Server
from tests.performance.proxy import peer_nginx, service_nginx
from tests.support.paths import ROOT
from tests.support.processes import free_port

# About 200 bytes of JSON.
VALUE = {
    "id": "6f1c2a52-8a0e-4d53-9a3c-3f3a4f0c7e11",
    "name": "Tea",
    "description": "Green, loose, from the first harvest of the year; keep it dry and in the dark",
    "quantity": 42,
    "tags": ["kitchen", "pantry", "gift"],
}
CACHED = "/api/v1/cache/bench"
INFO = "/api/v1/info"
# The same for every client, so the service lets nginx cache it for a second. The peers have no such
# answer; their cheapest is measured instead.
STATS = "/api/v1/stats"


@dataclass(frozen=True)
class Variant:
    """One way to run the service, or one peer."""

    name: str
    peer: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of the service in this variant."""
    checkout: Path = ROOT
    """Where its code is."""

    @property
    def cacheable(self) -> str:
        """The path of an answer that is the same for every client."""
        return INFO if self.peer else STATS


OURS = Variant("ours")
AGAIN = Variant("ours again")  # the A/A pair: its difference from OURS is the machine's noise
SDK = ROOT / ".run" / "environment-sdk"
INSTRUMENTED = "tutorial traced"
CACHE = {"CACHE_LOCAL_MS": "1000"}  # the in-process cache
TUTORIAL = Variant("tutorial", peer=True)
FASTAPI = Variant("fastapi", peer=True)
BARE = Variant("bare", peer=True)
ALL = (
    OURS,
    TUTORIAL,
    Variant("ours+cache", settings=CACHE),
    FASTAPI,
    Variant("granian", settings={"SERVER": "granian"}),
    BARE,
    Variant("granian+cache", settings={"SERVER": "granian"} | CACHE),
    Variant("granian, bare", peer=True),
    AGAIN,
)


ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def traced(collector: str) -> tuple[Variant, ...]:
    """The service with a tenth and with all of its requests traced."""
    return (
        Variant("10 % traced", settings={ENDPOINT: collector, "OTEL_TRACES_SAMPLER_ARG": "0.1"}),
        Variant("100 % traced", settings={ENDPOINT: collector}),
    )


def without_collector(collectors: Mapping[str, str]) -> tuple[Variant, ...]:
    """All requests traced, for collectors that do not take them; their addresses by kind."""
    return tuple(
        Variant(f"collector {kind}", settings={ENDPOINT: address})
        for kind, address in collectors.items()
    )


def sdk() -> str:
    """The folder of OpenTelemetry's SDK.

    Raises:
        RuntimeError: scripts/bench.sh, which installs it, was not used.
    """
    found = sorted(SDK.glob("lib/python*/site-packages"))
    if not found:
        raise RuntimeError("OpenTelemetry's SDK is missing: run ./scripts/bench.sh")
    return str(found[0])


def with_sdk(collector: str) -> tuple[Variant, ...]:
    """OpenTelemetry's SDK: beside the service, which does not use it, and in the tutorial."""
    path = {"PYTHONPATH": sdk()}
    automatic = {
        ENDPOINT: collector,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    return (
        Variant("SDK installed", settings=path),
        TUTORIAL,
        Variant(INSTRUMENTED, peer=True, settings=path | automatic),
    )


def before(checkout: Path) -> Variant:
    """The service of another checkout, in this Python environment and behind this nginx."""
    return Variant("before", checkout=checkout)


class Stage:
    """Starts variants, each with a folder in memory, the same Redis and the same cores."""

    def __init__(self, folder: Path, redis_url: str, cores: Cores) -> None:
        self.cores = cores
        self.redis_url = redis_url
        self.token = secrets.token_hex(24)
        self._folder = folder
        self._secret_key = secrets.token_hex(32)
        self._count = 0

    def new_folder(self, name: str) -> Path:
        """An empty folder in memory."""
        self._count += 1
        folder = self._folder / f"{self._count}-{name.replace(' ', '-')}"
        folder.mkdir()
        return folder

    def server(
        self,
        variant: Variant,
        workers: int,
        *,
        cores: frozenset[int] | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Server:
        """The variant's server, not started yet, without a proxy; `extra` are more settings."""
        folder = self.new_folder(variant.name)
        port = free_port()
        if variant.peer:
            command, env = _peer_command(variant.name, port, workers)
            env |= {"REDIS_URL": self.redis_url, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
            env |= variant.settings
        else:
            command = [sys.executable, "-m", "app"]
            env = self.settings(variant, port, workers, folder) | dict(extra or {})
        return Server(
            variant.name,
            command,
            port=port,
            folder=folder,
            cores=cores or self.cores.service,
            env=env,
            cwd=variant.checkout,
        )

    def settings(self, variant: Variant, port: int, workers: int, folder: Path) -> dict[str, str]:
        """The service as in production, all features on, limits off."""
        return {
            "APP_ENV": "production",
            "SECRET_KEY": self._secret_key,
            "API_TOKENS": self.token,
            "REDIS_URL": self.redis_url,
            "BIND": f"127.0.0.1:{port}",
            "MANAGEMENT_BIND": f"127.0.0.1:{free_port()}",
            "FORWARDED_ALLOW_IPS": "127.0.0.1/32",
            "WEB_CONCURRENCY": str(workers),
            "DRAIN_SECONDS": "0",
            "REDIS_TIMEOUT_MS": "10000",  # the machine is busy on purpose
            "METRICS_DIR": str(folder / "metrics"),
            # Another checkout may store entries in another form.
            "REDIS_KEY_PREFIX": "this:" if variant.checkout == ROOT else "that:",
            **variant.settings,
        }

    @contextmanager
    def proxied(self, variant: Variant, workers: int) -> Iterator[Server]:
        """The variant behind nginx, which is returned; its cache entry is stored."""
        with self.server(variant, workers) as service:
            self.fill(service)
            folder = self.new_folder("nginx")
            if variant.peer:
                kind = "tutorial" if variant.name == "tutorial" else "keepalive"
                proxy = peer_nginx(kind, folder, self.cores.proxy, service.port)
            else:
                proxy = service_nginx(folder, service.port, self.cores.proxy)
            with proxy:
                yield proxy

    def fill(self, service: Server) -> None:
        """Store the value that is read later, through the service's own API."""
        self.send(service, "PUT", f"{CACHED}?ttl=86400", VALUE)

    def send(self, service: Server, method: str, path: str, body: object = None) -> bytes:
        """One request with the token; the answer's body."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{service.port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: bytes = response.read()
            return answer


def _peer_command(name: str, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a peer."""
    address = f"127.0.0.1:{port}"
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", address, "--workers", str(workers)]
    gunicorn += ["--no-control-socket"]
    if name == "tutorial":
        return [*gunicorn, "tests.performance.peers.tutorial:app"], {}
    if name == INSTRUMENTED:
        command, env = _peer_command("tutorial", port, workers)
        return [sys.executable, str(SDK / "bin" / "opentelemetry-instrument"), *command], env
    if name == "bare":
        own = ["--config", "python:tests.performance.peers.bare_conf"]
        return [*gunicorn, *own, "tests.performance.peers.bare:app"], {}
    if name == "granian, bare":
        granian = [sys.executable, "-m", "granian", "--interface", "wsgi", "--http", "1"]
        granian += ["--port", str(port), "--workers", str(workers), "--no-ws"]
        own = ["--blocking-threads", "8", "--backpressure", "128"]  # as the service's
        return [*granian, *own, "tests.performance.peers.bare:app"], {}
    uvicorn = [sys.executable, "-m", "uvicorn", "tests.performance.peers.fast:app"]
    uvicorn += ["--port", str(port), "--workers", str(workers), "--no-access-log"]
    return [*uvicorn, "--timeout-keep-alive", "75", "--log-level", "warning"], {}
