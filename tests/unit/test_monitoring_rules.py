"""prometheus.yml and the rules: valid, tested, and with a runbook for each alert."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from monitoring.grafana.generate.names import described
from tests.support import promql
from tests.support.monitoring import COMPOSE, MONITORING, RULE_TESTS, RULES, STACK_RULES
from tests.support.monitoring import alerts, all_rules, dashboards, headings, queries
from tests.support.monitoring import read_yaml, run_tool, seconds
from tests.support.paths import ROOT
from tests.support.processes import output_of

# Getting promtool's image may take a while the first time.
pytestmark = pytest.mark.timeout(600)

ALERTS = {alert["alert"]: alert for alert in alerts()}
CASES = [case for path in RULE_TESTS for case in read_yaml(path)["tests"]]
RECORDED = {rule["record"] for rule in all_rules() if "record" in rule}
CONFIG = read_yaml(MONITORING / "prometheus" / "prometheus.yml")
JOBS = {job["job_name"]: job for job in CONFIG["scrape_configs"]}
ALERTMANAGER = read_yaml(MONITORING / "alertmanager" / "alertmanager.yml")
ROUTE = ALERTMANAGER["route"]
GROUP_OF = {
    rule.get("alert") or rule["record"]: group
    for path in RULES
    for group in read_yaml(path)["groups"]
    for rule in group["rules"]
}


@pytest.mark.slow
def test_prometheus_accepts_its_configuration_and_every_rule_file() -> None:
    done = run_tool("promtool", "check", "config", MONITORING / "prometheus" / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(STACK_RULES)} rule files found" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.name)
def test_the_rules_do_what_their_promtool_cases_say(path: Path) -> None:
    output_of(run_tool("promtool", "test", "rules", path))


def test_targets_are_bounded_scrapes_do_not_overlap_and_data_outlives_the_error_budget() -> None:
    limits = CONFIG["global"]
    assert limits["sample_limit"] and limits["label_limit"] and limits["body_size_limit"]
    assert JOBS["web"]["sample_limit"] >= 1000 * 60  # a thousand routes

    fast = {name for name, job in JOBS.items() if job.get("scrape_interval") == "5s"}
    assert fast == {"web", "edge", "redis", "blackbox-http", "blackbox-tls"}
    assert all(seconds(JOBS[name]["scrape_timeout"]) < 5 for name in fast)

    command = " ".join(read_yaml(COMPOSE)["services"]["prometheus"]["command"])
    (days,) = re.findall(r"--storage\.tsdb\.retention\.time=\D*(\d+)d", command)
    assert int(days) > 30
    assert "--storage.tsdb.retention.size=" in command


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
class TestEveryAlert:
    def test_says_what_is_wrong_and_leads_to_its_pages(self, alert: dict[str, Any]) -> None:
        said, labels = alert["annotations"], alert["labels"]
        assert set(said) == {"summary", "description", "runbook_url", "dashboard_url"}
        assert labels["severity"] in {"critical", "warning", "none"}
        assert labels["component"] in {"web", "edge", "redis", "host", "monitoring"}

        base, _, path = said["runbook_url"].partition("}}")
        page, _, anchor = path.partition("#")
        assert base == "{{ $externalLabels.runbooks "
        assert anchor in headings(ROOT / page) and anchor == alert["alert"].lower()

        base, _, link = said["dashboard_url"].partition("}}")
        uid, _, query = link.removeprefix("d/").partition("?")
        assert base == "{{ $externalLabels.grafana "
        known = {one["uid"]: one["templating"].get("list", []) for one in dashboards().values()}
        variables = {f"var-{each['name']}" for each in known[uid]}
        assert set(re.findall(r"([\w-]+)=", query)) <= variables

    def test_fires_long_enough_not_to_be_only_resolved(self, alert: dict[str, Any]) -> None:
        """An alert that joins a group is sent when Alertmanager looks at the group again."""
        page = next(one for one in ROUTE["routes"] if one["receiver"] == "page")
        route = page if alert["labels"]["severity"] == "critical" else ROUTE
        if alert["alert"] != "DeadMansSwitch":
            assert min(_memory(alert)) >= seconds(route["group_interval"])

    def test_has_cases_that_fire_with_its_labels_or_not_at_all(self, alert: dict[str, Any]) -> None:
        fired = [one for case in _cases(f"{alert['alert']} fires") for one in _expected(case)]
        had = set(re.findall(r"(\w+)=", " ".join(one.get("labels", "") for one in fired)))
        assert fired
        assert any(not _expected(case) for case in _cases(f"{alert['alert']} stays quiet"))
        assert set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"]))) <= had


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
    exported = _exported_by_the_service().keys() | RECORDED | {"up", "ALERTS", "ALERTS_FOR_STATE"}
    scraped = (
        r"(node|redis|nginx|edge|container|probe|prometheus|alertmanager|process|scrape"
        r"|kube|kubelet)_\w+|rollout_info|analysis_run_info|argocd_app_info"
    )
    texts = [rule["expr"] for rule in all_rules()] + [expr for _, expr in queries()]
    asked = {name for text in texts for name in promql.parse(text).metrics}

    assert not {name for name in asked - exported if not re.fullmatch(scraped, name)}


def test_an_alert_that_silences_others_names_alerts_that_exist() -> None:
    for rule in ALERTMANAGER["inhibit_rules"]:
        for matchers in (rule["source_matchers"], rule["target_matchers"]):
            (names,) = (one for one in matchers if one.startswith("alertname"))
            assert len({alert["alert"] for alert in _named(matchers)}) == names.count("|") + 1


def test_an_inhibitor_fires_for_longer_than_what_it_inhibits() -> None:
    """Else the inhibited alerts would be sent after the recovery."""
    short = []
    for rule in ALERTMANAGER["inhibit_rules"]:
        assert "namespace" in rule["equal"]
        for source, target in itertools.product(
            _named(rule["source_matchers"]), _named(rule["target_matchers"])
        ):
            # A scrape, two evaluations and the way to Alertmanager take part of a minute.
            if seconds(source["keep_firing_for"]) < max(_memory(target)) + 60:
                short.append(f"{source['alert']} ends before {target['alert']}")

    assert ALERTMANAGER["inhibit_rules"] and not short


@pytest.mark.parametrize(
    ("name", "job", "most"),
    [("ServiceUnreachable", "blackbox-http", 75), ("RedisDown", "redis", 90)],
)
def test_an_outage_pages_in_time(name: str, job: str, most: int) -> None:
    """The longest that each step may take: scrape, alert, evaluation, group."""
    page = next(one for one in ROUTE["routes"] if one["receiver"] == "page")
    steps = [JOBS[job]["scrape_interval"], JOBS[job]["scrape_timeout"], ALERTS[name]["for"]]
    steps += [GROUP_OF[name]["interval"], page["group_wait"]]
    assert sum(map(seconds, steps)) <= most


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_takes_named_jobs_only_and_keeps_the_namespace(rule: dict[str, Any]) -> None:
    """A second service with the same names has its own alerts and its own budget."""
    selectors = promql.parse(rule["expr"]).selectors
    free = {name for name, labels in selectors if "job" not in labels} - RECORDED
    # About every target, and about those that are gone; and about alerts, which follow these rules.
    assert free <= {"up", "scrape_samples_post_metric_relabeling", "scrape_sample_limit", "ALERTS"}

    groupings = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
    assert all("namespace" in labels.split(", ") for labels in groupings)
    assert not re.search(r"\b(?:sum|avg|min|max|count|group) *\(", rule["expr"])


def test_the_counts_of_requests_use_the_interval_of_the_rates() -> None:
    """sum_over_time(slo:bad:rate5m[…]) * 15 is a number of requests."""
    count = re.compile(r"sum_over_time\(slo:\w+:rate5m\[\w+\]\) \* (\d+)")
    factors = {int(found) for rule in all_rules() for found in count.findall(rule["expr"])}
    assert factors == {seconds(GROUP_OF["slo:bad:rate5m"]["interval"])}


def test_every_question_about_a_new_version_alone_has_its_alert_with_its_limit() -> None:
    analysis = json.loads((MONITORING / "analysis.json").read_text(encoding="utf-8"))
    asked = {
        name: f'deploy:version:answer{{question="{name}"}} > {one["limit"]}'
        for name, one in analysis["questions"].items()
        if name != "slower"  # than the version in service, whose replicas have gone
    }
    given = [one for one in alerts() if one["alert"] == "NewVersionFails"]
    assert {one["labels"]["question"]: one["expr"] for one in given} == asked


def test_the_heartbeat_comes_every_minute() -> None:
    """Alertmanager looks at a group each group_interval, and sends again at the first look that is
    later than repeat_interval after the last notification."""
    (route,) = (one for one in ROUTE["routes"] if one["receiver"] == "heartbeat")
    every, repeat = seconds(route["group_interval"]), seconds(route["repeat_interval"])
    assert (repeat // every + 1) * every == 60


def _named(matchers: list[str]) -> list[dict[str, Any]]:
    """The alerts that a rule's matcher of `alertname` names."""
    (matcher,) = (one for one in matchers if one.startswith("alertname"))
    pattern = re.split(r"=~?", matcher, maxsplit=1)[1].strip(' "')
    return [alert for alert in alerts() if re.fullmatch(pattern, alert["alert"])]


def _memory(alert: dict[str, Any]) -> list[int]:
    """For how many seconds it may fire on after each of its causes has ended."""
    kept = seconds(alert.get("keep_firing_for", "0s"))
    return [kept + memory for memory in promql.memory(alert["expr"])]


def _cases(beginning: str) -> list[dict[str, Any]]:
    return [case for case in CASES if case["name"].startswith(beginning)]


def _expected(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [sample for test in case["promql_expr_test"] for sample in test["exp_samples"]]


def _exported_by_the_service() -> dict[str, set[str]]:
    """Metric: labels, with those that Prometheus adds."""
    found: dict[str, set[str]] = {}
    for metric, labels, _text in described():
        added = ("job", "namespace", "instance", "pool", "pod")
        known = {*filter(None, labels.split(", ")), *added}
        found |= {metric: known, f"{metric}_count": known, f"{metric}_bucket": known | {"le"}}
    return found
