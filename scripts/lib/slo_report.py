"""scripts/slo-report.sh: what became of the objectives in the last 30 days, by Prometheus."""

import argparse
import os
import sys
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlencode

import command_error
import env_file
from http_json import get_json

INFRASTRUCTURE = Path(__file__).resolve().parents[2] / "infrastructure"
# Rates are recorded each 15 s (monitoring/prometheus/rules/slo.yml): sum times 15 is a number.
QUERIES = {
    "objective": "slo:objective + on (slo) group_right () 0 * slo:budget_left:30d",
    "requests": "sum_over_time(slo:total:rate5m[30d]) * 15",
    "bad": "sum_over_time(slo:bad:rate5m[30d]) * 15",
    "left": "slo:budget_left:30d",
    "fast": "count_over_time((slo:burn_rate:5m > 14.4)[30d:1m])",
}
HEADER = ("objective", "target", "kept", "requests", "bad", "left", "fast")
LINE = "{:24} {:>8} {:>9} {:>12} {:>10} {:>8} {:>7}"
EPILOG = """\
kept: share of the good requests; left: of the 30 days' error budget, negative if overspent; fast:
minutes in which it burned more than 14.4 times too fast. Exit status: 0 printed; 1 no data.
"""


def month(prometheus: str) -> dict[str, dict[str, float]]:
    """Each objective's figures by their column; its namespace is part of the name."""
    rows: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(QUERIES, 0.0))
    for column, query in QUERIES.items():
        answer = get_json(f"{prometheus}/api/v1/query?{urlencode({'query': query})}", seconds=60)
        for series in answer["data"]["result"]:
            labels = series["metric"]
            name = "/".join(filter(None, (labels.get("namespace"), labels["slo"])))
            rows[name][column] = float(series["value"][1])
    return rows


def main() -> int:
    settings = env_file.read(INFRASTRUCTURE / ".env") | os.environ
    url = f"http://127.0.0.1:{settings.get('PROMETHEUS_PORT') or 9090}"
    about = "What became of the objectives in the last 30 days."
    parser = argparse.ArgumentParser(prog="slo-report.sh", description=about, epilog=EPILOG)
    parser.add_argument("--prometheus", default=url, metavar="URL", help=f"default {url}")
    prometheus = parser.parse_args().prometheus
    rows = month(prometheus)
    if not rows:
        raise command_error.CommandError(f"{prometheus} has no data: does edge-exporter run?")
    print(LINE.format(*HEADER))
    for name, row in sorted(rows.items()):
        kept = 1 - row["bad"] / row["requests"] if row["requests"] else 1
        shares = f"{row['objective']:.1%}", f"{kept:.3%}"
        counts = f"{row['requests']:,.0f}", f"{row['bad']:,.0f}"
        print(LINE.format(name, *shares, *counts, f"{row['left']:.1%}", f"{row['fast']:.0f}"))
    return 0


if __name__ == "__main__":
    sys.exit(command_error.run(main))
