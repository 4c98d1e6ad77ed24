"""What each optimisation bought: the service without it, beside the service as shipped."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.performance import capacity, instructions
from tests.performance.capacity import CONNECTIONS
from tests.performance.figures import Bought, figure
from tests.performance.run import Run
from tests.performance.sections import memory_of
from tests.performance.variants import CACHED, INFO, OURS, STATS, Variant

FEW = 4
CPU = "CPU µs of a GET without Redis"
CPU_OF_FEW = f"{CPU}, {FEW} connections"
MEMORY = "MB of 4 workers"
START = "ms to the first 200"
INSTRUCTIONS = "thousand instructions of a GET"
KEPT = "cacheable GETs a second"

# Nothing rests, and what follows is `python -m app`.
COLLECTING = """\
import gc, runpy, sys
gc.disable = lambda: None
del sys.argv[1]
runpy.run_module("app", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Step:
    """An optimisation, and the service without it."""

    name: str
    without: Variant
    figures: tuple[str, ...]
    """What it is there for."""
    shipped: Variant = OURS
    """What it is held against."""


def _served(name: str, *arguments: str, launcher: tuple[str, ...] = ()) -> Variant:
    return Variant(f"without {name}", "", arguments=arguments, launcher=launcher)


def _worker(name: str, of: str) -> Variant:
    return _served(name, "--worker-class", f"tests.performance.without.{of}")


PRELOAD = _served("preloading", "-c", "python:tests.performance.without_preload")

SERVED = (
    Step("keep-alive to nginx", _served("keep-alive", "--keep-alive", "0"), (CPU,)),
    Step("a thread that stays for a moment", _worker("staying", "HandsBack"), (CPU_OF_FEW,)),
    Step("preloading", PRELOAD, (MEMORY, START)),
    Step(
        "a frozen heap, after a full collection",
        _worker("freezing", "Unfrozen"),
        (MEMORY,),
        _worker("nothing, collected", "Collected"),
    ),
    Step(
        "a collector that rests while all is loaded",
        _served("rest", launcher=("-c", COLLECTING)),
        (START,),
    ),
)
# By their names in without.py: the step, and the path that shows it.
IN_PROCESS = {
    "kept series": ("series looked up once", INFO),
    "one encoding": ("a log line in one encoding", INFO),
    "direct reads": ("reads on the thread's own connection", CACHED),
}


def steps(run: Run) -> list[Bought]:
    """Every step with what it is there for, in the service as shipped and in the one without."""
    readings: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for number in range(run.effort.rounds):
        run.say(f"round {number + 1} of {run.effort.rounds}")
        for step in SERVED:
            for what in step.figures:
                pair = readings.setdefault((step.name, what), ([], []))
                sides = list(zip(pair, (step.shipped, step.without), strict=True))
                for kept, variant in sides[:: 1 if number % 2 else -1]:
                    kept.append(READ[what](run, variant))
    served = [
        Bought(step=step, what=what, shipped=figure(shipped), without=figure(without))
        for (step, what), (shipped, without) in readings.items()
    ]
    return [*served, _kept_answers(run), *_counted(run)]


def _cpu(connections: int) -> Callable[[Run, Variant], float]:
    def read(run: Run, variant: Variant) -> float:
        load = replace(run.load, connections=connections)
        with run.stage.proxied(variant, run.workers) as (service, proxy):
            capacity.measure(proxy.port, INFO, run.warm_up)
            return capacity.measure(proxy.port, INFO, load, [service]).cpu_us

    return read


def _start(run: Run, variant: Variant) -> float:
    with run.stage.server(variant, run.workers) as service:
        return service.start_seconds * 1000


READ = {CPU: _cpu(CONNECTIONS), CPU_OF_FEW: _cpu(FEW), MEMORY: memory_of, START: _start}


def _kept_answers(run: Run) -> Bought:
    """With a session's cookie, nginx asks the service each time."""
    asked = replace(run.load, headers=("Cookie: session=none",))
    shipped, without = [], []
    for _ in range(run.effort.rounds):
        with run.stage.proxied(OURS, run.workers) as (_service, proxy):
            capacity.measure(proxy.port, STATS, run.warm_up)
            shipped.append(capacity.measure(proxy.port, STATS, run.load).per_second)
            without.append(capacity.measure(proxy.port, STATS, asked).per_second)
    return Bought(
        step="answers that nginx keeps for a second",
        what=KEPT,
        shipped=figure(shipped),
        without=figure(without),
    )


def _counted(run: Run) -> list[Bought]:
    cases = [(OURS, INFO), (OURS, CACHED)]
    cases += [(Variant(f"ours without {name}", ""), path) for name, (_, path) in IN_PROCESS.items()]
    with run.stage.server(OURS, 1) as service:
        run.stage.fill(service)
    info, cached, *others = (
        figure([count / 1000]) for count in instructions.measure(run.stage, cases)
    )
    shipped = {INFO: info, CACHED: cached}
    return [
        Bought(
            step=name,
            what=f"{INSTRUCTIONS}{' from Redis' if path == CACHED else ' without Redis'}",
            shipped=shipped[path],
            without=without,
        )
        for (name, path), without in zip(IN_PROCESS.values(), others, strict=True)
    ]
