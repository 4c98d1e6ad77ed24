"""Writes the dashboards, the alerts about new versions, and the table in docs/MONITORING.md.

    python -m monitoring.grafana.generate

<dashboard>.py writes <dashboard>.json, questions.py the alerts; panels.py, frame.py and names.py
are shared.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from monitoring.grafana.generate import app_dashboard, delivery, edge, log_lines, questions
from monitoring.grafana.generate import redis, slo, system
from monitoring.grafana.generate.names import described

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "monitoring" / "grafana" / "dashboards"
PAGE = ROOT / "docs" / "MONITORING.md"
DASHBOARDS = (app_dashboard, delivery, edge, log_lines, redis, slo, system)


def generated() -> Iterator[tuple[Path, str]]:
    """Every file with its content."""
    for module in DASHBOARDS:
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        text = json.dumps(module.build(), indent=2, ensure_ascii=False)
        yield FOLDER / f"{name}.json", f"{text}\n"
    yield questions.RULES, questions.rules()
    head, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- metrics -->\n")
    tail = rest.partition("<!-- /metrics -->\n")[2]
    rows = ["| metric | labels | what it is |", "|---|---|---|"]
    rows += [f"| `{name}` | {labels} | {text} |" for name, labels, text in described()]
    table = "\n".join(rows)
    yield PAGE, f"{head}<!-- metrics -->\n{table}\n<!-- /metrics -->\n{tail}"


def main() -> None:
    """Write the files that differ."""
    for path, text in generated():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
