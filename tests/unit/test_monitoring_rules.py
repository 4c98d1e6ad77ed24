"""prometheus.yml and the rules: valid, tested, and with a runbook for each alert."""

import re
from pathlib import Path
from typing import Any

import pytest

from monitoring.grafana.generate.names import described
from tests.support import promql
from tests.support.monitoring import (
    COMPOSE,
    MONITORING,
    RULE_TESTS,
    RULES,
    alerts,
    all_rules,
    headings,
    queries,
    read_yaml,
    run_tool,
)
from tests.support.paths import ROOT

# Getting promtool's image may take a while the first time.
pytestmark = pytest.mark.timeout(600)

ALERTS = {alert["alert"]: alert for alert in alerts()}
CASES = [case for path in RULE_TESTS for case in read_yaml(path)["tests"]]
RECORDED = {rule["record"] for rule in all_rules() if "record" in rule}


@pytest.mark.slow
def test_prometheus_accepts_its_configuration_and_every_rule_file() -> None:
    done = run_tool("promtool", "check", "config", MONITORING / "prometheus" / "prometheus.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rule files found" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.name)
def test_the_rules_do_what_their_promtool_cases_say(path: Path) -> None:
    done = run_tool("promtool", "test", "rules", path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_target_may_grow_without_bound() -> None:
    limits = read_yaml(MONITORING / "prometheus" / "prometheus.yml")["global"]

    assert limits["sample_limit"] and limits["label_limit"] and limits["body_size_limit"]


def test_data_is_kept_longer_than_the_error_budget_looks_back() -> None:
    command = read_yaml(COMPOSE)["services"]["prometheus"]["command"]
    kept = next(flag for flag in command if flag.startswith("--storage.tsdb.retention.time="))
    days = re.search(r"(\d+)d", kept)

    assert days and int(days[1]) > 30
    assert any(flag.startswith("--storage.tsdb.retention.size=") for flag in command)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
class TestEveryAlert:
    def test_says_what_is_wrong_how_bad_it_is_and_what_to_do(self, alert: dict[str, Any]) -> None:
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert alert["labels"]["severity"] in {"critical", "warning", "none"}
        assert alert["labels"]["component"] in {"web", "edge", "redis", "host", "monitoring"}

    def test_has_a_runbook_section(self, alert: dict[str, Any]) -> None:
        base, _, path = alert["annotations"]["runbook_url"].partition("}}")
        page, _, anchor = path.partition("#")

        assert base == "{{ $externalLabels.runbooks "
        assert anchor in headings(ROOT / page)
        assert anchor == alert["alert"].lower()

    def test_has_a_case_that_fires_and_one_that_stays_quiet(self, alert: dict[str, Any]) -> None:
        name = alert["alert"]

        assert any(_expected(case) for case in _cases(f"{name} fires"))
        assert any(not _expected(case) for case in _cases(f"{name} stays quiet"))

    def test_names_no_label_that_the_alert_does_not_have(self, alert: dict[str, Any]) -> None:
        named = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
        fired = " ".join(
            sample["labels"]
            for case in _cases(f"{alert['alert']} fires")
            for sample in _expected(case)
            if "labels" in sample
        )
        had = set(re.findall(r"(\w+)=", fired))

        assert named <= had


def test_every_metric_of_the_service_that_is_asked_for_exists_with_those_labels() -> None:
    exported = _exported_by_the_service()
    texts = [(rule.get("record", rule.get("alert")), rule["expr"]) for rule in all_rules()]

    wrong = [
        f"{place}: {name}{sorted(labels - exported[name])}"
        for place, text in texts + queries()
        for name, labels in promql.parse(text).selectors
        if name in exported and labels - exported[name]
    ]

    assert not wrong


def test_every_metric_asked_for_is_recorded_or_comes_from_something_that_is_scraped() -> None:
    exported = _exported_by_the_service().keys() | RECORDED | {"up", "ALERTS"}
    scraped = r"(node|redis|nginx|edge|container|probe|prometheus|alertmanager|process)_\w+"
    texts = [rule["expr"] for rule in all_rules()] + [expr for _, expr in queries()]
    asked = {name for text in texts for name in promql.parse(text).metrics}

    assert not {name for name in asked - exported if not re.fullmatch(scraped, name)}


def test_an_alert_that_silences_others_names_alerts_that_exist() -> None:
    config = read_yaml(MONITORING / "alertmanager" / "alertmanager.yml")
    matchers = [
        matcher
        for rule in config["inhibit_rules"]
        for matcher in rule["source_matchers"] + rule["target_matchers"]
        if matcher.startswith("alertname")
    ]

    for matcher in matchers:
        pattern = re.split(r"=~?", matcher, maxsplit=1)[1].strip(' "')
        for name in pattern.split("|"):
            assert any(re.fullmatch(name, alert) for alert in ALERTS), name


def test_the_heartbeat_comes_every_five_minutes() -> None:
    """Alertmanager looks at a group each group_interval, and sends again at the first look that is
    later than repeat_interval after the last notification."""
    config = read_yaml(MONITORING / "alertmanager" / "alertmanager.yml")
    (route,) = (one for one in config["route"]["routes"] if one["receiver"] == "heartbeat")
    every, repeat = _seconds(route["group_interval"]), _seconds(route["repeat_interval"])

    assert (repeat // every + 1) * every == 300


def _seconds(duration: str) -> int:
    parts = re.findall(r"(\d+)([ms])", duration)
    return sum(int(number) * {"m": 60, "s": 1}[unit] for number, unit in parts)


def _cases(beginning: str) -> list[dict[str, Any]]:
    return [case for case in CASES if case["name"].startswith(beginning)]


def _expected(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [sample for test in case["promql_expr_test"] for sample in test["exp_samples"]]


def _exported_by_the_service() -> dict[str, set[str]]:
    """Metric: labels, with those that Prometheus adds."""
    found: dict[str, set[str]] = {}
    for metric, labels, _text in described():
        known = {*filter(None, labels.split(", ")), "job", "instance", "pool"}
        found |= {metric: known, f"{metric}_count": known, f"{metric}_bucket": known | {"le"}}
    return found
