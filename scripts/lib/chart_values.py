"""Writes the table of values in the chart's README: python scripts/lib/chart_values.py"""

import re
from pathlib import Path

HELM = Path(__file__).resolve().parents[2] / "infrastructure" / "helm"
CHART = next(HELM.glob("*/Chart.yaml")).parent  # its folder has the service's name
README, VALUES = CHART / "README.md", CHART / "values.yaml"
LINE = re.compile(
    r"^(?P<indent> *)(?P<key>[A-Za-z][\w-]*):(?: (?P<default>.*?))?(?:  # (?P<text>.*))?$"
)


def table(text: str) -> str:
    """One row for each value: its name, its default, its comment (above it, or in its line)."""
    rows, names, above = ["| value | default | what it is |", "|---|---|---|"], [""], ""
    for line in text.splitlines():
        if line.lstrip().startswith("# "):
            above = f"{above} {line.strip()[2:]}".strip()
            continue
        if found := LINE.match(line):
            depth = len(found["indent"]) // 2
            names = [*names[:depth], found["key"]]
            comment = found["text"] or above
            if found["default"] or comment:
                default = f"`{found['default']}`" if found["default"] else ""
                rows.append(f"| `{'.'.join(names)}` | {default} | {comment.replace('|', ' or ')} |")
        above = ""
    return "\n".join(rows) + "\n"


def page(readme: str, values: str) -> str:
    """The README with the table between its two marks."""
    head, _, rest = readme.partition("<!-- values -->\n")
    tail = rest.partition("<!-- /values -->\n")[2]
    return f"{head}<!-- values -->\n{table(values)}<!-- /values -->\n{tail}"


if __name__ == "__main__":
    README.write_text(
        page(README.read_text(encoding="utf-8"), VALUES.read_text(encoding="utf-8")),
        encoding="utf-8",
    )
