"""infrastructure/policies: how large it is, and whether files are asked all that the cluster asks.

The rules themselves have tests in Rego, which scripts/lint-policies.sh runs.
"""

import re

import yaml

from tests.support.paths import ROOT

POLICIES = ROOT / "infrastructure" / "policies"


def test_the_rules_are_few_lines() -> None:
    files = [*POLICIES.glob("rules/*.rego"), POLICIES / "admission" / "rules.yaml"]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    template = (POLICIES / "admission" / "templates" / "policies.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"\s*[^#\s]", line)]
    lines += [line for line in template.splitlines() if "xpression" in line]
    print(f"{len(lines)} lines of Rego and CEL")
    assert len(lines) <= 500


def test_what_the_cluster_refuses_is_refused_before() -> None:
    known = yaml.safe_load((POLICIES / "rules" / "rules.yaml").read_text(encoding="utf-8"))["rules"]
    admission = yaml.safe_load((POLICIES / "admission" / "rules.yaml").read_text(encoding="utf-8"))
    assert set(admission["containers"]) | set(admission["objects"]) <= set(known)
    assert "production" in known
