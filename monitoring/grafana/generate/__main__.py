"""Writes the dashboards' JSON files.

    python monitoring/grafana/generate            writes monitoring/grafana/dashboards/*.json
    python monitoring/grafana/generate --check    exit status 1 if a file is not as written

Each dashboard is a module beside this one; panels.py and frame.py hold what they share.
"""

import json
import sys
from pathlib import Path
from typing import Any

from edge import edge
from log_lines import logs
from overview import overview
from redis_performance import redis
from slo import slo
from system import system

FOLDER = Path(__file__).parent.parent / "dashboards"


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard by the name of its file."""
    return {
        "app-dashboard.json": overview(),
        "edge.json": edge(),
        "log-lines.json": logs(),
        "redis.json": redis(),
        "slo.json": slo(),
        "system.json": system(),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or compare them."""
    if arguments not in ([], ["--check"]):
        print("usage: generate [--check]", file=sys.stderr)
        return 2
    stale = []
    for name, content in dashboards().items():
        path, made = FOLDER / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == made:
            continue
        stale.append(name)
        if not arguments:
            path.write_text(made, encoding="utf-8")
            print(f"wrote {path}")
    if arguments and stale:
        print(f"not as generated: {', '.join(stale)}; run it without --check", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
