"""Canary and blue-green, as the chart renders them."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.chart import VARIANTS, of_kind, render
from tests.support.monitoring import MONITORING, evaluate

ANALYSIS = json.loads((MONITORING / "analysis.json").read_text(encoding="utf-8"))


def strategy(name: str) -> Any:
    (one,) = of_kind(render(*VARIANTS[name]), "Rollout")
    return one["spec"]["strategy"]


@cache
def questions() -> dict[str, dict[str, Any]]:
    (one,) = of_kind(render(*VARIANTS["canary"]), "AnalysisTemplate")
    return {metric["name"]: metric for metric in one["spec"]["metrics"]}


def test_the_pods_are_the_same_whatever_the_strategy() -> None:
    (deployment,) = of_kind(render(), "Deployment", "web")
    for name in ("canary", "blue-green"):
        (rollout,) = of_kind(render(*VARIANTS[name]), "Rollout")
        assert rollout["spec"]["template"] == deployment["spec"]["template"]
        assert not of_kind(render(*VARIANTS[name]), "Deployment", "web")
    # Each version is spread by itself, whoever labels its pods.
    for each in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
        assert each["matchLabelKeys"] == ["pod-template-hash", "rollouts-pod-template-hash"]


def test_a_canary_is_judged_before_it_gets_more() -> None:
    steps = strategy("canary")["canary"]["steps"]
    assert [next(iter(step)) for step in steps] == ["setWeight", "analysis"]
    assert {metric["initialDelay"] for metric in questions().values()} == {"60s"}


def test_blue_green_is_tried_before_it_serves_and_judged_after() -> None:
    found = strategy("blue-green")["blueGreen"]
    # The former version can serve again for as long as the new one is judged.
    assert found["scaleDownDelaySeconds"] > 60
    assert {"prePromotionAnalysis", "postPromotionAnalysis"} <= found.keys()


NEW = 'http_requests_total{namespace="n",job="web",pod="new",route="/a",status="%s"}'
ENOUGH = {NEW % 200: "0+200x9"}


def of(pod: str, metric: str, **labels: str) -> str:
    """A series of one version's pod."""
    labels = {"namespace": "n", "job": "web", "pod": pod, "route": "/a"} | labels
    return metric + "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


TAKEN = "http_request_duration_seconds"
ANSWERS = {
    "errors": ({NEW % 200: "0+190x9", NEW % 500: "0+10x9"}, 0.05),
    "restarts": (
        {
            NEW % 200: "0 900 10 500 900 900 900 900 900 900",
            of("new", "worker_exits_total", reason="died"): "0 0 2+0x8",
        },
        3,
    ),
    "saturation": (
        ENOUGH
        | {
            of("new", "http_requests_in_progress"): "8+0x9",
            of("new", "app_workers"): "2+0x9",
            of("new", "app_worker_threads"): "8+0x9",
        },
        0.5,
    ),
    "slower": (
        ENOUGH
        | {
            of(pod, f"{TAKEN}_{what}", route=route): f"0+{each}x9"
            for pod, what, route, each in (
                # One route had a stall, another is not in use.
                *(("new", "sum", "/a", 3), ("new", "sum", "/b", 6), ("new", "sum", "/c", 90)),
                *(("old", "sum", "/a", 20), ("old", "sum", "/b", 40), ("old", "sum", "/c", 20)),
                *(("new", "count", route, 100) for route in ("/a", "/b", "/c")),
                *(("old", "count", route, 1000) for route in ("/a", "/b", "/c")),
                *((pod, what, "/d", 0) for pod in ("new", "old") for what in ("sum", "count")),
            )
        },
        1.5,
    ),
    "latency": (
        ENOUGH
        | {
            of("new", f"{TAKEN}_bucket", le="1"): "0+980x9",
            of("new", f"{TAKEN}_bucket", le="2.5"): "0+1000x9",
            of("new", f"{TAKEN}_bucket", le="+Inf"): "0+1000x9",
        },
        1.75,
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_question_answers(name: str, tmp_path: Path) -> None:
    query = questions()[name]["provider"]["prometheus"]["query"]
    query = query.replace('namespace="demo"', 'namespace="n"')
    query = re.sub(r'pod=~"[^"]*args\.(\w+)[^"]*"', r'pod=~"\1"', query)
    series, value = ANSWERS[name]

    few = {one: re.sub(r"\d{2,}", "1", text) for one, text in series.items()}
    for given, samples in ((series, [{"labels": "{}", "value": value}]), (few, [])):
        evaluate(tmp_path, given, [{"expr": query, "eval_time": "135s", "exp_samples": samples}])


def test_versions_are_compared_only_while_both_answer() -> None:
    templates = of_kind(render(*VARIANTS["blue-green"]), "AnalysisTemplate", "web")
    (asked,) = ({metric["name"] for metric in one["spec"]["metrics"]} for one in templates)
    assert questions().keys() - asked == {"slower"}


def test_no_data_is_neither_good_nor_bad() -> None:
    """Empty, or not a number: a rollout that asked goes on with neither (argo-rollouts 1466)."""
    assert questions().keys() == ANALYSIS["questions"].keys()
    for metric in questions().values():
        good, bad = metric["successCondition"], metric["failureCondition"]
        assert good.startswith("len(result) > 0 && result[0] <= ")
        assert bad == good.replace("<=", ">")


def test_every_question_is_of_one_versions_pods_and_needs_enough_requests() -> None:
    for name, metric in questions().items():
        query = metric["provider"]["prometheus"]["query"]
        assert not re.search(r"\b(NEW|OLD)\b", query)
        selectors = re.findall(r"\{([^{}]*(?:\{\{[^{}]*\}\}[^{}]*)+)\}", query)
        assert selectors
        for labels in selectors:
            assert 'namespace="demo", job="web"' in labels, name
            assert re.search(r'pod=~"x-[a-z-]+-web-\{\{args\.(new|old)\}\}-\.\*"', labels)
        assert query.endswith(f">= {ANALYSIS['requests']['least']}")


@pytest.mark.parametrize("limit", ["0", "0.2"])
def test_a_limit_may_be_set(limit: str) -> None:
    option = f"--set=delivery.limits.errors={limit}"
    (one,) = of_kind(render(*VARIANTS["canary"], option), "AnalysisTemplate")
    (errors,) = [each for each in one["spec"]["metrics"] if each["name"] == "errors"]
    assert errors["failureCondition"].endswith(f"> {limit}")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("1", "1"), ("1000m", "1"), ("0.1", "100m"), ("1500m", "1500m"), ("1.5", "1500m"),
        ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1536Mi", "1536Mi"), ("2048Ki", "2Mi"),
        ("128M", "128M"), ("1000M", "1G"), ("134217728", "134217728"), ("128000000", "128M"),
        ("0", "0"),
    ],
)  # fmt: skip
def test_quantities_are_as_the_api_server_writes_them(given: str, written: str) -> None:
    """The controller rewrites others, and owns the field from then on: the next upgrade fails."""
    (rollout,) = of_kind(
        render(*VARIANTS["canary"], f"--set=resources.requests.memory={given}"), "Rollout"
    )
    (web,) = rollout["spec"]["template"]["spec"]["containers"]
    assert web["resources"]["requests"]["memory"] == written


@pytest.mark.parametrize(
    ("number", "written"),
    [("0.5", "500m"), ("0.57", "570m"), ("2", "2"), ("134217728", "134217728")],
)
def test_a_quantity_may_be_a_number(number: str, written: str) -> None:
    (rollout,) = of_kind(
        render(*VARIANTS["canary"], f"--set-json=resources.requests.cpu={number}"), "Rollout"
    )
    (web,) = rollout["spec"]["template"]["spec"]["containers"]
    assert web["resources"]["requests"]["cpu"] == written


def test_a_claim_is_handed_on() -> None:
    (rollout,) = of_kind(
        render(*VARIANTS["canary"], "--set=resources.claims[0].name=gpu"), "Rollout"
    )
    resources = rollout["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources["claims"] == [{"name": "gpu"}]
    assert resources["requests"]["memory"] == "112Mi"


def test_nginx_sends_the_canary_its_share() -> None:
    objects = render(*VARIANTS["canary"], "--set=delivery.percent=20")
    (edge,) = of_kind(objects, "ConfigMap", "edge")
    files = "".join(edge["data"].values())

    assert "20% careful;" in files and "set $pool $split_pool;" in files
    servers = set(re.findall(r"server (\S+):8000", files))
    services = {one["metadata"]["name"] for one in of_kind(objects, "Service")}
    names = {f"x-devops-starter-{name}" for name in ("serving", "candidate", "pods")}
    assert {server.partition(".")[0] for server in servers} == names <= services


def test_a_host_of_its_own_reaches_what_is_not_in_service_yet() -> None:
    for option, pool in (("", "web"), ("next.example.org", "$split_pool")):
        objects = render(*VARIANTS["blue-green"], f"--set=delivery.previewHost={option}")
        (edge,) = of_kind(objects, "ConfigMap", "edge")
        files = "".join(edge["data"].values())
        assert f"set $pool {pool};" in files
        upstream = re.search(r"upstream web_next \{\s+\S+[^}]+?server (\S+)-candidate\.", files)
        assert upstream
        assert upstream[1] == "x-devops-starter"
    assert "next.example.org web_next;" in files


@pytest.mark.parametrize("name", ["canary", "blue-green", "defaults"])
def test_where_no_pod_of_the_new_kind_is_ready_all_pods_are_asked(name: str) -> None:
    """Argo CD changes nginx and the kind of object in one sync: 7 of 500 requests met a 502."""
    (edge,) = of_kind(render(*VARIANTS[name]), "ConfigMap", "edge")
    backups = re.findall(r"server (\S+?)\..*backup;", "".join(edge["data"].values()))
    assert backups == ["x-devops-starter-pods"] * 2
