#!/usr/bin/env python3
"""Writes one section of a run's summary page, or prints it where there is no such page."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import oci
import runner
from runner import Problem

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN")
WEAKEST_FILES = 5
MEGABYTE = 1_000_000


def coverage(report: dict[str, Any]) -> str:
    """From `coverage json`: the totals, and the files with the most left to cover."""
    totals = report["totals"]
    lines = [
        f"## Coverage: {totals['percent_covered']:.1f} %",
        "",
        "| | covered | all |",
        "| --- | ---: | ---: |",
        f"| lines | {totals['covered_lines']} | {totals['num_statements']} |",
        f"| branches | {totals['covered_branches']} | {totals['num_branches']} |",
    ]
    files = {name: file["summary"] for name, file in report["files"].items()}
    weakest = sorted(files, key=lambda name: files[name]["percent_covered"])[:WEAKEST_FILES]
    weakest = [name for name in weakest if files[name]["percent_covered"] < 100]
    if weakest:
        lines += ["", "| least covered | |", "| --- | ---: |"]
        lines += [f"| `{name}` | {files[name]['percent_covered']:.1f} % |" for name in weakest]
    return "\n".join(lines)


def image(found: oci.Image) -> str:
    lines = [
        "## Image",
        "",
        f"`{found.digest}`",
        "",
        "| platform | compressed | layers |",
        "| --- | ---: | ---: |",
    ]
    lines += [f"| {p.name} | {p.size / MEGABYTE:.1f} MB | {p.layers} |" for p in found.platforms]
    return "\n".join(lines)


def vulnerabilities(report: dict[str, Any]) -> list[dict[str, Any]]:
    """From a Trivy report; what .trivyignore.yaml excepts is not in it."""
    results = report.get("Results") or []
    return [v for result in results for v in result.get("Vulnerabilities") or []]


def scan(reports: dict[str, dict[str, Any]], fail_on: list[str]) -> tuple[str, list[str]]:
    """The section, and one text for each vulnerability that is severe enough and has a fix."""
    lines = ["## Known vulnerabilities", ""]
    lines += [f"| | {' | '.join(SEVERITIES)} |", "| --- |" + " ---: |" * len(SEVERITIES)]
    serious: dict[str, str] = {}
    for name, report in reports.items():
        found = vulnerabilities(report)
        all_counts = Counter(v["Severity"] for v in found)
        fixable = Counter(v["Severity"] for v in found if v.get("FixedVersion"))
        cells = [f"{all_counts[s]} ({fixable[s]} fixable)" for s in SEVERITIES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        for v in found:
            if v["Severity"] in fail_on and v.get("FixedVersion"):
                serious[f"{v['VulnerabilityID']} {v['PkgName']}"] = (
                    f"{v['VulnerabilityID']} ({v['Severity'].lower()}): {v['PkgName']}"
                    f" {v['InstalledVersion']}, fixed in {v['FixedVersion']}"
                )
    if serious:
        lines += ["", "To be fixed now:", "", *(f"- {text}" for text in serious.values())]
    return "\n".join(lines), list(serious.values())


def load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"{path} cannot be read as JSON: {error}") from error


def parse_arguments() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--dry-run", action="store_true", help="check the arguments and stop")
    parser = argparse.ArgumentParser(description=__doc__, epilog=runner.EXIT_STATUS)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("coverage", parents=[common], help="from `coverage json`")
    command.add_argument("report", type=Path)
    command = commands.add_parser("image", parents=[common], help="digest and sizes of an archive")
    command.add_argument("archive", type=Path)
    command = commands.add_parser("scan", parents=[common], help="from reports of Trivy")
    command.add_argument("--fail-on", action="append", default=[], choices=SEVERITIES)
    command.add_argument("reports", nargs="+", type=Path)
    command = commands.add_parser("text", parents=[common], help="a text as it is")
    command.add_argument("text")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if arguments.dry_run:
        return 0
    match arguments.command:
        case "coverage":
            runner.summarise(coverage(load(arguments.report)))
        case "image":
            runner.summarise(image(oci.read(arguments.archive)))
        case "scan":
            reports = {path.stem: load(path) for path in arguments.reports}
            text, serious = scan(reports, arguments.fail_on)
            runner.summarise(text)
            if serious:
                raise Problem(
                    f"{len(serious)} serious vulnerabilities have a fix: {'; '.join(serious)}"
                )
        case "text":
            runner.summarise(arguments.text)
    return 0


if __name__ == "__main__":
    runner.run(main)
