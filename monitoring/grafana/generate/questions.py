"""The questions of monitoring/analysis.json as alerts, for versions that serve without analysis."""

import json
import re
from pathlib import Path
from textwrap import fill, indent
from typing import Any

MONITORING = Path(__file__).resolve().parents[2]
RULES = MONITORING / "prometheus" / "rules" / "new-version-alerts.yml"
ANALYSIS: dict[str, Any] = json.loads((MONITORING / "analysis.json").read_text(encoding="utf-8"))
# Those about the former version are left out: its replicas have gone.
QUESTIONS = {name: one for name, one in ANALYSIS["questions"].items() if "OLD" not in one["expr"]}

VERSION = "namespace, version, commit"
NEW = "* on (namespace, pool, pod, instance) group_left (version, commit) deploy:replica:new"
_SERIES = re.compile(r"\w+\(\w+\{NEW[^}]*\}\[\w+\]\)|\w+\{NEW[^}]*\}")
_AGGREGATION = re.compile(r"\b(sum|max)(?: by \((\w+)\))? ?\(")

HEAD = """\
# Written by python -m monitoring.grafana.generate from monitoring/analysis.json: do not edit.
#
# The answers of versions that began in the last 15 minutes (deploys.yml), without analysis or in
# spite of one. Counters are read as they are: those of a new replica began at zero, and rate()
# would not see the first errors. `for` is a minute, because a replica at a former one's address has
# the last values of that one for two scrapes. `slower` needs replicas of the former version.
groups:
  - name: new-version-alerts
    interval: 15s
    rules:
"""
RECORD = """\
- record: {name}{labels}
  expr: >-
{expr}
"""
ALERT = """\
- alert: NewVersionFails
  expr: deploy:version:answer{{question="{name}"}} > {limit}
  for: 1m
  keep_firing_for: 2m
  labels: {{severity: warning, component: web, question: {name}}}
  annotations:
    summary: Version {{{{ $labels.version }}}} is above its limit of {name}
    description: >-
      Asked {asks}: {{{{ $value | printf "%.3g" }}}}. The limit is {limit}.
    runbook_url: "{{{{ $externalLabels.runbooks }}}}docs/MONITORING.md#newversionfails"
    dashboard_url: "{{{{ $externalLabels.grafana }}}}d/ds-delivery"
"""


def rules() -> str:
    """The file of rules."""
    requests = ANALYSIS["requests"]
    found = [record("deploy:version:requests", of_new_versions(requests["expr"]))]
    for name, one in QUESTIONS.items():
        expr = f"({of_new_versions(one['expr'])}) and deploy:version:requests >= "
        labels = f"\n  labels: {{question: {name}}}"
        found.append(record("deploy:version:answer", f"{expr}{requests['least']}", labels))
        found.append(ALERT.format(name=name, **one))
    return HEAD + "\n".join(indent(each, " " * 6) for each in found)


def record(name: str, expr: str, labels: str = "") -> str:
    """A recording rule in YAML."""
    lines = fill(expr, 110, break_long_words=False, break_on_hyphens=False)
    return RECORD.format(name=name, labels=labels, expr=indent(lines, " " * 4))


def of_new_versions(expr: str) -> str:
    """A question's expression, with one value for each version that has just begun."""
    # An address may have been a former replica's, and resets() would take the change for a restart.
    # Names of pods are not used again. On Compose, WorkersDie is the alert.
    labels = 'job="web", pod!=""' if "resets(" in expr else 'job="web"'
    expr = _SERIES.sub(rf"(\g<0> {NEW})", expr).replace("NEW", labels)
    return _AGGREGATION.sub(_by_version, expr)


def _by_version(found: re.Match[str]) -> str:
    labels = ", ".join(filter(None, (VERSION, found[2])))
    return f"{found[1]} by ({labels}) ("
