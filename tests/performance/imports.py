"""Where a start goes: the time each package takes to import until the application is loaded."""

import re
import sys
from collections import Counter

from tests.performance.capacity import run_on
from tests.performance.figures import Figure, figure
from tests.performance.process import inherited
from tests.performance.run import Run
from tests.performance.variants import BARE, INFO, OURS, TUTORIAL, Variant

# What takes less than this share of the service's imports is not listed by name.
LEAST_SHARE = 0.03
ALL, OTHERS = "all", "others"

# "import time: self [us] | cumulative | imported package", indented by depth.
_LINE = re.compile(r"(?m)^import time: +(\d+) \| +\d+ \| *([\w.]+)$")


def imports(run: Run) -> dict[str, dict[str, Figure]]:
    """Seconds by package for the service, the tutorial and Flask alone; slowed by the measuring."""
    readings: dict[str, list[Counter[str]]] = {}
    with run.stage.server(OURS, 1) as service:
        run.stage.fill(service)
    for _ in range(run.effort.rounds):
        for variant in (OURS, TUTORIAL, BARE):
            readings.setdefault(variant.name, []).append(_by_package(run, variant))
    ours = {package: _median(readings[OURS.name], package) for package in readings[OURS.name][0]}
    named = [p for p in ours if p != ALL and ours[p] >= LEAST_SHARE * ours[ALL]]
    named.sort(key=lambda package: -ours[package])
    return {name: _figures(found, named) for name, found in readings.items()}


def _figures(found: list[Counter[str]], named: list[str]) -> dict[str, Figure]:
    figures = {ALL: figure([one[ALL] / 1e6 for one in found])}
    for package in named:
        if any(one[package] for one in found):
            figures[package] = figure([one[package] / 1e6 for one in found])
    rest = [(one[ALL] - sum(one[package] for package in named)) / 1e6 for one in found]
    return figures | {OTHERS: figure(rest)}


def _median(found: list[Counter[str]], package: str) -> float:
    return figure([one[package] for one in found])["median"]


def _by_package(run: Run, variant: Variant) -> Counter[str]:
    folder = run.stage.new_folder("imports")
    env = inherited()
    if variant.peer:
        env |= {"REDIS_URL": run.stage.redis_url, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    else:
        env |= run.stage.settings(0, 1, folder) | dict(variant.settings)
    command = [sys.executable, "-X", "importtime", "-m", "tests.performance.in_process"]
    return parse(run_on(run.cores.service, [*command, variant.name, INFO, "0", "0"], env))


def parse(text: str) -> Counter[str]:
    """What Python has printed: microseconds by top-level package, and under `ALL`."""
    found: Counter[str] = Counter()
    for microseconds, name in _LINE.findall(text):
        found[name.partition(".")[0]] += int(microseconds)
        found[ALL] += int(microseconds)
    if not found:
        raise RuntimeError(f"nothing was imported: {text.strip()[-500:]}")
    return found
