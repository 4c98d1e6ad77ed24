"""docs/PERFORMANCE.md: its figures come from docs/performance.json, never from a keyboard."""

import re
from typing import Any

from tests.performance.process import ROOT
from tests.performance.report import machine, quietness, section, targets_table

PAGE = ROOT / "docs" / "PERFORMANCE.md"
RESULT = ROOT / "docs" / "performance.json"
PLOT = ROOT / "docs" / "images" / "performance.svg"

SLOT = re.compile(r"(<!-- bench: ([\w ]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
NOTHING = (
    "Not measured yet: `./scripts/bench.sh --json FILE`, then `./scripts/bench.sh --docs FILE`."
)


def filled(page: str, result: dict[str, Any]) -> str:
    """The page with the result in its slots, `<!-- bench: NAME -->` to `<!-- /bench -->`."""

    def fill(slot: re.Match[str]) -> str:
        return f"{slot[1]}\n{_text(slot[2], result) or NOTHING}\n\n{slot[3]}"

    return SLOT.sub(fill, page)


def _text(name: str, result: dict[str, Any]) -> str:
    if not result:
        return ""
    if name == "machine":
        source = f"All figures are in [{RESULT.name}]({RESULT.name})."
        return "\n\n".join(text for text in (machine(result), quietness(result), source) if text)
    if name == "targets":
        return targets_table(result)
    if name == "plot":
        return f"![Requests a second of every variant](images/{PLOT.name})"
    if name == "nginx":
        return "\n".join(f"- {line}" for line in result["nginx"])
    return section(result, name)
