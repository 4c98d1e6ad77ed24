"""Instructions per request, counted by callgrind: the same twice, however busy the machine is."""

import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.performance.capacity import run_on
from tests.performance.process import inherited
from tests.performance.variants import Stage, Variant

# What two runs, one of them with twice as many requests, differ by leaves start and end out.
REQUESTS = 200


def measure(stage: Stage, cases: Sequence[tuple[Variant, str]], more_routes: int = 0) -> list[int]:
    """Instructions that a request takes in each case, in process and user space.

    Args:
        stage: for folders, Redis and cores; every core counts for itself.
        cases: variants and paths.
        more_routes: added to those that the application has.
    """
    runs = [(variant, path, n) for variant, path in cases for n in (REQUESTS, 2 * REQUESTS)]
    with ThreadPoolExecutor(len(stage.cores.all)) as pool:
        counted = list(pool.map(lambda run: _count(stage, *run, more_routes), runs))
    pairs = zip(counted[::2], counted[1::2], strict=True)
    return [round((twice - once) / REQUESTS) for once, twice in pairs]


def _count(stage: Stage, variant: Variant, path: str, requests: int, more_routes: int) -> int:
    folder = stage.new_folder("callgrind")
    env = inherited() | {"PYTHONHASHSEED": "0"}
    if variant.peer:
        env |= {"REDIS_URL": stage.redis_url, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    else:
        env |= stage.settings(0, 1, folder) | dict(variant.settings)
    # What it logs goes to a file, as in production.
    program = f'valgrind --tool=callgrind --log-file="{folder}/said" --callgrind-out-file=/dev/null'
    command = [sys.executable, "-m", "tests.performance.in_process", variant.name, path]
    logged = f'"$@" >"{folder}/log" 2>&1 || {{ tail -n 5 "{folder}/log"; exit 1; }}'
    run_on(
        stage.cores.all,
        ["sh", "-c", f"{program} {logged}", "sh", *command, str(requests), str(more_routes)],
        env,
    )
    said = (folder / "said").read_text(encoding="utf-8")
    collected = re.search(r"Collected : (\d+)", said)
    if not collected:
        raise RuntimeError(f"callgrind has counted nothing: {said.strip()[-500:]}")
    return int(collected[1])
