"""What each drill breaks, which alert must follow, and why."""

from collections.abc import Callable
from dataclasses import dataclass

from .stack import Stack


@dataclass(frozen=True)
class Drill:
    """One drill."""

    what: str
    """What is done to the stack."""
    why: str
    """Why the alert follows, and when."""
    alert: dict[str, str]
    """Labels of the alert that must fire."""
    watch: dict[str, str]
    """Figures to print meanwhile: a name for each query."""
    break_: Callable[[Stack], None]
    repair: Callable[[Stack], None]
    paths: tuple[str, ...]
    """Requested by the simulated users meanwhile."""


FAULT_SECONDS = 900  # the longest that the service accepts; the drill ends the fault before


def _fault(**settings: float) -> Callable[[Stack], None]:
    body = {"route": "/api/v1/*", "duration_seconds": FAULT_SECONDS, **settings}
    return lambda stack: stack.set_fault(body)


def _burn(slo: str) -> dict[str, str]:
    return {
        "burn rate over 1 h": f'slo:burn_rate:1h{{slo="{slo}"}}',
        "over 5 min": f'slo:burn_rate:5m{{slo="{slo}"}}',
        "bad requests this hour": f'slo:bad:increase1h{{slo="{slo}"}}',
    }


DRILLS = {
    "errors": Drill(
        what="Every fifth request to /api/v1/* is answered with 500.",
        why=(
            "20 % errors burn the budget of 99.9 % 200 times too fast. The alert waits until the "
            "last hour as a whole burns above 14.4 and has ten errors: at once on a new stack, "
            "after four to five minutes on one that carried the same traffic for an hour."
        ),
        alert={"alertname": "ErrorBudgetBurnsFast", "slo": "availability", "window": "1h"},
        watch=_burn("availability"),
        break_=_fault(error_rate=0.2),
        repair=Stack.end_fault,
        paths=("/api/v1/info", "/api/v1/items"),
    ),
    "latency": Drill(
        what="Every request to /api/v1/* takes 400 ms longer.",
        why=(
            "All of them miss the 250 ms that 99 % must keep: the budget burns 100 times too fast. "
            "The alert waits until the last hour as a whole burns above 14.4."
        ),
        alert={"alertname": "ErrorBudgetBurnsFast", "slo": "latency", "window": "1h"},
        watch=_burn("latency"),
        break_=_fault(latency_ms=400),
        repair=Stack.end_fault,
        paths=("/api/v1/info", "/api/v1/items"),
    ),
    "redis-down": Drill(
        what="Redis is stopped.",
        why=(
            "Its exporter gets no answer for half a minute. The service goes on without a cache: "
            "/health says degraded, items and sessions answer 503, everything else 200."
        ),
        alert={"alertname": "RedisDown"},
        watch={"redis_up": "redis_up", "open circuits": "count(cache_circuit_state > 0)"},
        break_=lambda stack: stack.stop("redis"),
        repair=lambda stack: stack.start("redis"),
        paths=("/api/v1/info", "/"),
    ),
    "web-down": Drill(
        what="Every replica of the service is stopped.",
        why=(
            "None answers Prometheus for a minute. The probes through nginx and the 502s follow "
            "from it and are silenced: one page, not four."
        ),
        alert={"alertname": "WebDown"},
        watch={"replicas": 'sum(up{job="web"})', "probes": "min(probe_success)"},
        break_=lambda stack: stack.stop("web"),
        repair=lambda stack: stack.start("web"),
        paths=("/api/v1/info",),
    ),
}
