"""Measures the service beside its peers, or beside another checkout of itself, in one run."""

# --help runs without the bench's environment, so what needs it is imported where it is used.
# pylint: disable=import-outside-toplevel

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from tests.performance.machine import PROGRAMS, check_programs, description
from tests.support.paths import ROOT

EPILOG = """\
Prints one table: ratios of two variants' figures, and whether each meets its target. Stops what it
started, also on Ctrl-C; all its files are below /dev/shm and removed at the end.

Exit status: 0 measured (the table says whether targets are met), 1 something could not be measured,
2 usage, 130 Ctrl-C.
"""
DOCS = ROOT / "docs"
PAGE, RESULT = DOCS / "PERFORMANCE.md", DOCS / "performance.json"
PLOT = DOCS / "images" / "performance.svg"
# In the order in which they are measured.
SECTIONS = (
    "throughput",
    "start",
    "latency",
    "memory",
    "scaling",
    "items",
    "scrape",
    "instructions",
    "tracing",
)
PAIRED = ("throughput", "start", "memory", "instructions")


def main() -> int:
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up
    try:
        if options.check:
            check_peers()
            return 0
        check_programs(*PROGRAMS)
        result = measure(options)
        publish(options, result)
        return 1 if set(options.only) & set(result["notes"]) else 0
    except (RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
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
    add = parser.add_argument
    add("--quick", action="store_true", help="at most five minutes; less precise")
    add("--against", type=_checkout, metavar="DIR", help="compare with the service in DIR instead")
    add("--only", metavar="NAME,…", help=f"only these sections: {', '.join(SECTIONS)}")
    add("--json", type=Path, metavar="FILE", help="write all figures and targets")
    add("--docs", action="store_true", help="write docs/PERFORMANCE.md's table, plot and JSON")
    add("--check", action="store_true", help="only check each peer's features; takes seconds")
    options = parser.parse_args(arguments)
    offered = PAIRED if options.against else SECTIONS
    chosen = options.only.split(",") if options.only else list(offered)
    if options.docs and (options.against or options.only):
        parser.error("--docs needs all sections, and no --against")
    unknown = sorted(set(chosen) - set(offered))
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(offered)}")
    options.only = [name for name in offered if name in chosen]
    return options


def _checkout(text: str) -> Path:
    if not (Path(text) / "app" / "__main__.py").is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is not a checkout: no app/__main__.py in it")
    return Path(text).resolve()


def check_peers() -> None:
    """Check that the peers have the features that make the comparison fair."""
    from tests.performance.check import check
    from tests.performance.run import prepared

    check_programs("redis-server")
    with prepared(quick=True) as run:
        print(check(run))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the chosen sections."""
    from tests.performance import measurements, run
    from tests.performance.targets import AGAINST, TARGETS

    with run.prepared(quick=options.quick, against=options.against) as session:
        figures: dict[str, Any] = {}
        targets = AGAINST if options.against else TARGETS
        for name in options.only:
            session.say(name)
            try:
                figures |= getattr(measurements, name)(session)
            except RuntimeError as error:  # keeps the figures of the other sections
                session.note(name, f"could not be measured: {error}")
        return {
            "machine": description(),
            "cores": str(session.cores),
            "quick": options.quick,
            "notes": session.notes,
            "targets": [target.verdict(figures) for target in targets],
            "figures": figures,
        }


def publish(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Print the table, and write the files of the options."""
    from tests.performance.targets import QUIET, noise

    print(report(result), end="")
    for name, why in result["notes"].items():
        print(f"\n{name}: {why}")
    difference = noise(result["figures"])
    if difference and difference > QUIET:
        print(f"\nWARNING: the same variant measured twice differs by {difference:.0%}: run again")
    if options.json:
        options.json.write_text(dumped(result), encoding="utf-8")
    if options.docs:
        from tests.performance.plot import draw

        draw(result, PLOT)
        RESULT.write_text(dumped(result), encoding="utf-8")
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")


def report(result: dict[str, Any]) -> str:
    """Where it was measured, and the table."""
    from tests.performance.targets import table

    of = result["machine"]
    where = f"{of['cpu']}, {of['system']}, Python {of['python']}; {result['cores']}"
    return f"{where}{'; a quick run' if result['quick'] else ''}\n\n{table(result)}\n"


def filled(page: str, result: dict[str, Any]) -> str:
    """The page with the report between `<!-- bench -->` and `<!-- /bench -->`."""
    head, _, rest = page.partition("<!-- bench -->\n")
    tail = rest.partition("<!-- /bench -->\n")[2]
    return f"{head}<!-- bench -->\n\n{report(result)}\n<!-- /bench -->\n{tail}"


def dumped(result: dict[str, Any]) -> str:
    """As JSON, with one line for each measure and each target."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    head = encode({key: of for key, of in result.items() if key not in ("figures", "targets")})
    rows = ",\n  ".join(map(encode, result["targets"]))
    figures = ",\n  ".join(
        f"{encode(name)}: {encode(of)}" for name, of in result["figures"].items()
    )
    return f'{head[:-1]},\n "targets": [\n  {rows}],\n "figures": {{\n  {figures}}}}}\n'


if __name__ == "__main__":
    sys.exit(main())
