"""Every way to serve it: Gunicorn's worker classes, threads and keep-alive, and Granian."""

from typing import Any

from tests.performance import capacity
from tests.performance.figures import figure
from tests.performance.run import Run
from tests.performance.variants import CACHED, GRANIAN, Variant


def _gunicorn(name: str, what: str, *arguments: str) -> Variant:
    return Variant(name, what, arguments=arguments)


SERVERS = (
    _gunicorn("as shipped", "the settings of app/gunicorn_conf.py"),
    _gunicorn("sync", "one request at a time", "--worker-class", "sync", "--threads", "1"),
    _gunicorn("gthread, 1 thread", "Gunicorn's own", "--worker-class", "gthread", "--threads", "1"),
    _gunicorn("gthread, 2 threads", "", "--worker-class", "gthread", "--threads", "2"),
    _gunicorn("gthread, 4 threads", "", "--worker-class", "gthread", "--threads", "4"),
    _gunicorn("gthread, 8 threads", "", "--worker-class", "gthread", "--threads", "8"),
    _gunicorn("gthread, 8, no keep-alive", "", "--worker-class", "gthread", "--keep-alive", "0"),
    Variant(
        "gevent",
        "greenlets",
        arguments=("--worker-class", "gevent", "--threads", "1"),
        # Patched before anything is loaded, or preloaded code would share what is thread-local.
        launcher=("-m", "gevent.monkey", "--module"),
    ),
    GRANIAN,
)


def servers(run: Run) -> dict[str, Any]:
    """Redis-backed GET through nginx: requests a second, CPU time and p99 of each."""
    found: dict[str, dict[str, list[float]]] = {}
    offered = run.offered(SERVERS)
    for number in range(run.effort.few):
        for variant in offered[number:] + offered[:number]:
            run.say(variant.name)
            with run.stage.proxied(variant, run.workers) as (service, proxy):
                capacity.measure(proxy.port, CACHED, run.warm_up)
                read = capacity.measure(proxy.port, CACHED, run.load, [service])
            for what in ("per_second", "cpu_us", "p99_ms"):
                found.setdefault(variant.name, {}).setdefault(what, []).append(getattr(read, what))
    return {
        name: {what: figure(readings) for what, readings in of.items()}
        for name, of in found.items()
    }
