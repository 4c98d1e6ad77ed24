"""Instructions of a request, counted by callgrind: the same however busy the machine is."""

import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.performance.capacity import run_on
from tests.performance.process import inherited
from tests.performance.variants import Stage, Variant
from tests.support.paths import ROOT

# The difference of two runs, one with twice as many requests, leaves start and end out.
REQUESTS = 200
IN_PROCESS = ROOT / "tests" / "performance" / "in_process.py"


def measure(stage: Stage, variants: Sequence[Variant], paths: Sequence[str]) -> list[list[int]]:
    """Instructions of a request, in user space: for each variant those of each path."""
    with ThreadPoolExecutor(len(stage.cores.all)) as pool:
        return list(pool.map(lambda variant: _count(stage, variant, paths), variants))


def _count(stage: Stage, variant: Variant, paths: Sequence[str]) -> list[int]:
    folder = stage.new_folder("callgrind")
    env = inherited() | {"PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1"}
    env["PYTHONPATH"] = str(variant.checkout)
    if variant.peer:
        env |= {"REDIS_URL": stage.redis_url, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    else:
        env |= stage.settings(variant, 0, 1, folder)
    # The log of the service goes to a file, as in production.
    program = "valgrind --tool=callgrind --callgrind-out-file=/dev/null"
    command = [sys.executable, str(IN_PROCESS), variant.name if variant.peer else "service"]
    logged = f'"$@" >"{folder}/out" 2>"{folder}/err" || {{ tail -n 5 "{folder}/err"; exit 1; }}'
    run_on(
        stage.cores.all,
        ["sh", "-c", f'{program} --log-file="{folder}/said.%p" {logged}', "sh"]
        + [*command, str(REQUESTS), *paths],
        env,
        variant.checkout,
    )
    counted: dict[tuple[str, int], int] = {}
    text = (folder / "out").read_text(encoding="utf-8")
    for path, count, pid in re.findall(r"(?m)^(/\S+) (\d+) (\d+)$", text):
        counted[path, int(count)] = _collected(folder / f"said.{pid}")
    return [
        round((counted[path, 2 * REQUESTS] - counted[path, REQUESTS]) / REQUESTS) for path in paths
    ]


def _collected(said: Path) -> int:
    text = said.read_text(encoding="utf-8")
    found = re.search(r"Collected : (\d+)", text)
    if not found:
        raise RuntimeError(f"callgrind has counted nothing: {text.strip()[-500:]}")
    return int(found[1])
