"""Measures the service beside its peers and tells medians, spreads, ratios and targets."""

import argparse
import importlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

from tests.performance.machine import PROGRAMS, Problem, check_programs, description
from tests.performance.targets import targets

EPILOG = """\
What is started ends with the run, also on Ctrl-C. Everything is written below /dev/shm and removed.
Exit status: 0 measured (whether targets are met is in the table and in --json), 1 something could
not be measured, 2 usage, 130 Ctrl-C.
"""


def main() -> int:
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up
    try:
        if options.check:
            return check()
        if options.docs:
            return write_docs(options.docs)
        check_programs(sorted(PROGRAMS))
        result = measure(options)
        publish(options, result)
        return 1 if set(options.only) & set(result["notes"]) else 0
    except (Problem, RuntimeError, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/bench.sh",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--check", action="store_true", help="only see that every peer has its features; seconds"
    )
    parser.add_argument("--quick", action="store_true", help="within 5 minutes; coarser")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures and targets")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw throughput (.svg or .png)")
    parser.add_argument(
        "--only", metavar="NAME,…", help="measure these sections alone: " + ", ".join(SECTIONS)
    )
    parser.add_argument("--steps", action="store_true", help="what each optimisation bought, too")
    parser.add_argument(
        "--servers", action="store_true", help="every worker class and setting, too"
    )
    parser.add_argument("--growth", action="store_true", help="how costs grow, too")
    parser.add_argument(
        "--docs", type=Path, metavar="FILE", help="only write FILE, made by --json, into the docs"
    )
    options = parser.parse_args(arguments)
    chosen = options.only.split(",") if options.only else list(SECTIONS)
    unknown = sorted(set(chosen) - set(SECTIONS))
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    options.only = [name for name in SECTIONS if name in chosen]
    options.only += [name for name in MORE if getattr(options, name)]
    return options


def check() -> int:
    """See that the peers are what they are said to be."""
    # pylint: disable=import-outside-toplevel
    from tests.performance.check import check as check_peers
    from tests.performance.run import prepared

    check_programs(["redis-server"])
    with prepared(quick=True) as run:
        print(check_peers(run))
    return 0


def write_docs(path: Path) -> int:
    """Put a result into docs/PERFORMANCE.md, its plot and itself beside it."""
    # pylint: disable=import-outside-toplevel
    from tests.performance import page
    from tests.performance.plot import draw

    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        draw(result, page.PLOT)
    except (OSError, ValueError, KeyError) as error:
        raise Problem(f"{path} is no result of --json with throughput in it: {error}") from error
    page.RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    page.PAGE.write_text(page.filled(page.PAGE.read_text(encoding="utf-8"), result), "utf-8")
    print(f"Written: {page.PAGE}, {page.RESULT}, {page.PLOT}")
    return 0


# In the order they are measured. By name, because --help must do without what they import.
SECTIONS = {
    "throughput": "sections.throughput",
    "start": "sections.start",
    "floor": "sections.floor",
    "latency": "sections.latency",
    "memory": "sections.memory",
    "scaling": "sections.scaling",
    "items": "lists.items",
    "scrape": "scrape.scrape",
    "instructions": "sections.count_instructions",
    "imports": "imports.imports",
}
MORE = {"steps": "steps.steps", "servers": "servers.servers", "growth": "growth.growth"}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the chosen sections; all that was found."""
    # What these import is in the bench's own environment; --help must do without.
    # pylint: disable=import-outside-toplevel
    from tests.performance.proxy import substitutions
    from tests.performance.run import prepared
    from tests.performance.variants import ALL

    with prepared(quick=options.quick) as run:
        result = {
            "machine": description(),
            "cores": str(run.cores),
            "workers": run.workers,
            "quick": options.quick,
            "variants": {variant.name: variant.what for variant in ALL},
            "nginx": substitutions(),
            "notes": run.notes,
        }
        for name in options.only:
            run.say(name)
            module, _, function = (SECTIONS | MORE)[name].partition(".")
            section = importlib.import_module(f"tests.performance.{module}")
            try:
                result[name] = getattr(section, function)(run)
            except RuntimeError as error:  # what the others have found is not lost
                run.note(name, f"could not be measured: {error}")
    return result | {"targets": targets(result)}


def publish(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Print the report, and write what was asked for."""
    from tests.performance.report import report  # pylint: disable=import-outside-toplevel

    print(report(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        from tests.performance.plot import draw  # pylint: disable=import-outside-toplevel

        draw(result, options.plot)


if __name__ == "__main__":
    sys.exit(main())
