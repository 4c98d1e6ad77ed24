"""The result as text, for a terminal or a page: Markdown tables."""

from collections.abc import Sequence
from typing import Any

from tests.performance.figures import Bought, Figure, unquiet
from tests.performance.targets import Verdict, flask_alone

Result = dict[str, Any]
KINDS = {"redis": "Redis-backed GET", "info": "GET without Redis", "cacheable": "cacheable GET"}


def report(result: Result) -> str:
    """Everything that was measured, the targets last."""
    parts = [machine(result)]
    parts += [text for text in (section(result, name) for name in SECTIONS) if text]
    parts += [f"{name}: {why}" for name, why in result["notes"].items()]
    warning = quietness(result)
    if warning:
        parts.append(warning)
    parts.append(targets_table(result))
    return "\n\n".join(parts)


def machine(result: Result) -> str:
    """Where and how it was measured."""
    of = result["machine"]
    return (
        f"{of['cpu']}, {of['cores']} cores, {of['system']}, Python {of['python']};"
        f" {result['cores']};"
        f" {result['workers']} workers each{'; a quick run' if result['quick'] else ''}."
    )


def quietness(result: Result) -> str:
    """A warning when two equals differ by more than 10 %; an empty text otherwise."""
    of = result.get("throughput", {})
    if "ours" not in of or "ours again" not in of:
        return ""
    pairs = [(of["ours"][kind], of["ours again"][kind]) for kind in KINDS]
    differences = [unquiet(one["per_second"], other["per_second"]) for one, other in pairs]
    worst = max((difference for difference in differences if difference), default=None)
    if worst is None:
        return ""
    return (
        f"WARNING: the A/A pair, the same thing measured twice, differs by {worst:.0%}:"
        " the machine was not quiet, measure again before believing small differences."
    )


def targets_table(result: Result) -> str:
    """The targets, what the run shows, and what Flask alone would show."""
    verdicts: Sequence[Verdict] = result["targets"]
    alone = flask_alone(result)
    rows = [
        [
            verdict["name"],
            verdict["target"],
            "not measured" if verdict["value"] is None else f"{verdict['value']:.2f}",
            "yes" if verdict["ok"] else "no",
            f"{alone[verdict['name']]:.2f}" if verdict["name"] in alone else "",
        ]
        for verdict in verdicts
    ]
    return table(["what", "target", "measured", "met", "Flask alone"], rows)


def section(result: Result, name: str) -> str:
    """One section's table; an empty text when the run has not measured it."""
    return SECTIONS[name](result[name]) if result.get(name) else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned in plain text, too."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def _throughput(of: Result) -> str:
    head = ["variant", "requests/s", "spread", "× tutorial", "CPU µs", "p50 ms", "p99 ms"]
    texts = []
    for kind, title in KINDS.items():
        base = of.get("tutorial", {}).get(kind, {}).get("per_second")
        rows = [
            [
                name,
                f"{found[kind]['per_second']['median']:,.0f}",
                f"{found[kind]['per_second']['spread']:.0%}",
                _ratio(found[kind]["per_second"], base),
                f"{found[kind]['cpu_us']['median']:.0f}",
                f"{found[kind]['p50_ms']['median']:.2f}",
                f"{found[kind]['p99_ms']['median']:.2f}",
            ]
            for name, found in of.items()
        ]
        texts.append(f"{title} through nginx, capacity:\n\n{table([*head], rows)}")
    return "\n\n".join(texts)


def _start(of: dict[str, Figure]) -> str:
    base = of.get("tutorial")
    rows = [
        [name, f"{f['median'] * 1000:.0f}", f"{f['spread']:.0%}", _ratio(f, base)]
        for name, f in of.items()
    ]
    head = ["variant", "ms", "spread", "× tutorial"]
    return "Start to the first 200:\n\n" + table(head, rows)


def _floor(of: dict[str, Figure]) -> str:
    rows = [[name, f"{f['median']:,.0f}", f"{f['spread']:.0%}"] for name, f in of.items()]
    return "The floor, requests/s:\n\n" + table(["what", "requests/s", "spread"], rows)


def _latency(of: Result) -> str:
    names = [name for name in of if name != "rate"]
    rows = [
        [name, *(f"{of[name][what]['median']:.2f}" for what in ("p50_ms", "p99_ms", "p999_ms"))]
        for name in names
    ]
    head = ["variant", "p50 ms", "p99 ms", "p99.9 ms"]
    return f"Redis-backed GET at {of['rate']} requests/s, by the clock:\n\n{table(head, rows)}"


def _memory(of: dict[str, Figure]) -> str:
    base = of.get("tutorial")
    rows = [[name, f"{f['median']:.0f}", _ratio(f, base)] for name, f in of.items()]
    head = ["variant", "MB", "× tutorial"]
    return "Memory of 4 workers and their master (PSS):\n\n" + table(head, rows)


def _scaling(of: dict[str, Figure]) -> str:
    rows = [[name, f"{f['median']:,.0f}", f"{f['spread']:.0%}"] for name, f in of.items()]
    head = ["workers", "requests/s", "spread"]
    return "Workers on two cores, without nginx:\n\n" + table(head, rows)


def _instructions(of: dict[str, dict[str, int]]) -> str:
    kinds = [kind for kind in ("info", "redis") if kind in of["bare"]]
    head = ["variant"] + [text for kind in kinds for text in (f"{kind}, thousands", "× bare")]
    rows = []
    for name, counted in of.items():
        row = [name]
        for kind in kinds:
            row += [f"{counted[kind] / 1000:.1f}", f"{counted[kind] / of['bare'][kind]:.2f}"]
        rows.append(row)
    return "Instructions per request, in process (callgrind):\n\n" + table(head, rows)


def _imports(of: dict[str, dict[str, Figure]]) -> str:
    names = list(of)
    packages = {package: [of[name].get(package) for name in names] for package in of["ours"]}
    rows = [
        [package, *(f"{1000 * f['median']:.0f}" if f else "" for f in found)]
        for package, found in packages.items()
    ]
    return "Milliseconds of importing, by package:\n\n" + table(["package", *names], rows)


def _items(of: Result) -> str:
    rows = [
        [f"{of['counts'][name]:,}", f"{of[name]['seconds']['median'] * 1000:.2f}"]
        for name in ("few", "many")
    ]
    return "A page of 20 items, read past the cache:\n\n" + table(["items", "ms"], rows)


def _scrape(of: Result) -> str:
    names = {"stock": "stock", "ours": "ours", "after deaths": f"ours, {of['deaths']} deaths later"}
    rows = [
        [title, f"{of[name]['median']:.1f}", f"{of[name]['spread']:.0%}"]
        for name, title in names.items()
    ]
    title = f"CPU of a scrape at 8 workers, {of['series']:,} series:"
    return f"{title}\n\n{table(['mode', 'ms', 'spread'], rows)}"


def _steps(of: Sequence[Bought]) -> str:
    rows = [
        [
            each["step"],
            each["what"],
            *(f"{each[side]['median']:,.0f}" for side in ("shipped", "without")),
            _ratio(each["without"], each["shipped"]),
        ]
        for each in of
    ]
    head = ["step", "what it is there for", "as shipped", "without it", "×"]
    return "The service with one step left out:\n\n" + table(head, rows)


def _servers(of: Result) -> str:
    base = of["as shipped"]["per_second"]
    rows = [
        [
            name,
            f"{found['per_second']['median']:,.0f}",
            _ratio(found["per_second"], base),
            f"{found['cpu_us']['median']:.0f}",
            f"{found['p99_ms']['median']:.1f}",
        ]
        for name, found in of.items()
    ]
    head = ["server", "requests/s", "× as shipped", "CPU µs", "p99 ms"]
    return "Redis-backed GET through nginx, by server:\n\n" + table(head, rows)


def _growth(of: Result) -> str:
    texts = []
    for what, sizes in of.items():
        head = [what, *next(iter(sizes.values()))]
        rows = [
            [size, *(f"{value:,.{0 if value >= 100 else 2}f}" for value in costs.values())]
            for size, costs in sizes.items()
        ]
        texts.append(f"Cost by {what}:\n\n{table(head, rows)}")
    return "\n\n".join(texts)


def _ratio(value: Figure, base: Figure | None) -> str:
    return "" if base is None else f"{value['median'] / base['median']:.2f}"


SECTIONS = {
    "throughput": _throughput,
    "start": _start,
    "floor": _floor,
    "latency": _latency,
    "memory": _memory,
    "scaling": _scaling,
    "items": _items,
    "scrape": _scrape,
    "steps": _steps,
    "servers": _servers,
    "growth": _growth,
    "instructions": _instructions,
    "imports": _imports,
}
