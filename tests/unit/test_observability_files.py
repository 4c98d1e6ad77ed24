"""The files of docker-compose.observability.yml: whole, closed to strangers, within bounds."""

import json
import re
from collections.abc import Iterator
from typing import Any

import init
import pytest
import yaml

from app.config import Settings
from tests.support.monitoring import COMPOSE, MONITORING, read_yaml, seconds
from tests.support.paths import ROOT

OVERLAY = ROOT / "infrastructure" / "docker-compose.observability.yml"
SERVICES = read_yaml(OVERLAY)["services"]
OWN = {name: of for name, of in SERVICES.items() if "image" in of}
COLLECTOR = {
    name: read_yaml(MONITORING / "collector" / f"{name}.yml") for name in ("base", "traces", "logs")
}
JAEGER = read_yaml(MONITORING / "jaeger" / "jaeger.yml")
SEARCH = MONITORING / "search"
TEMPLATE = json.loads((SEARCH / "template.json").read_text(encoding="utf-8"))
FIELDS = TEMPLATE["template"]["mappings"]["properties"]
OBJECTS = [
    json.loads(line)
    for line in (SEARCH / "saved_objects.ndjson").read_text(encoding="utf-8").splitlines()
]
KINDS = ("receivers", "processors", "exporters", "extensions")


def used(*configurations: dict[str, Any]) -> dict[str, set[str]]:
    """The components that pipelines and extensions name."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for of in configurations:
        found["extensions"] |= set(of["service"].get("extensions", ()))
        for pipeline in of["service"].get("pipelines", {}).values():
            for kind, names in pipeline.items():
                found[kind] |= set(names)
    return found


def test_every_component_that_a_pipeline_names_is_defined_and_none_is_left_over() -> None:
    defined = {
        kind: {one for of in COLLECTOR.values() for one in of.get(kind, ())} for kind in KINDS
    }
    assert used(*COLLECTOR.values()) == defined
    assert used(JAEGER) == {kind: set(JAEGER.get(kind, ())) for kind in KINDS}


def test_traces_are_decided_after_the_longest_request() -> None:
    """An error that arrives after the decision is lost."""
    settings = Settings()
    longest = settings.request_timeout_seconds + settings.queue_timeout_seconds
    written = COLLECTOR["traces"]["processors"]["tail_sampling"]["decision_wait"]
    in_stack = SERVICES["collector"]["environment"]["TRACES_DECISION_WAIT"]
    for text in (written, in_stack):
        (default,) = re.findall(r":-(\w+)\}$", text)
        assert seconds(default) > longest


def test_memory_is_limited_first_and_secrets_are_masked_last() -> None:
    for name in ("traces", "logs"):
        (pipeline,) = COLLECTOR[name]["service"]["pipelines"].values()
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "redaction"


def test_queues_survive_a_restart_are_bounded_and_nothing_is_given_up() -> None:
    jaeger = COLLECTOR["traces"]["exporters"]["otlp_http/jaeger"]
    search = COLLECTOR["logs"]["exporters"]["elasticsearch"]
    for exporter in (jaeger, search):
        queue = exporter["sending_queue"]
        assert (queue["storage"], queue["sizer"]) == ("file_storage", "bytes")
        assert 0 < queue["queue_size"] <= 2**28
    assert jaeger["retry_on_failure"]["max_elapsed_time"] == 0
    assert search["retry"]["max_retries"] >= 1_000_000
    reader = COLLECTOR["logs"]["receivers"]["file_log"]
    assert (reader["storage"], reader["start_at"]) == ("file_storage", "beginning")
    assert reader["retry_on_failure"] == {"enabled": True, "max_elapsed_time": 0}


def test_every_variable_of_the_configurations_has_a_default_or_is_set() -> None:
    for service, folder in (("collector", "collector"), ("jaeger", "jaeger")):
        text = "".join(path.read_text("utf-8") for path in (MONITORING / folder).glob("*.yml"))
        given = SERVICES[service]["environment"].keys()
        bare = set(re.findall(r"\$\{env:(\w+)\}|env\(\"(\w+)\"\)", text))
        assert {one or other for one, other in bare} <= given


def test_on_kubernetes_the_collector_runs_the_same_files() -> None:
    values = read_yaml(ROOT / "infrastructure" / "helm" / "otel-collector-values.yaml")
    given = {each["name"] for each in values["extraEnvs"]}
    text = "".join(path.read_text("utf-8") for path in (MONITORING / "collector").glob("*.yml"))
    known = {one or other for one, other in re.findall(r"env:(\w+)|env\(\"(\w+)\"\)", text)}
    assert given <= known
    assert values["command"]["extraArgs"] == OWN["collector"]["command"][1:]
    assert values["image"]["tag"] == OWN["collector"]["image"].rpartition(":")[2]
    (metrics,) = read_yaml(MONITORING / "collector/base.yml")["service"]["telemetry"]["metrics"][
        "readers"
    ]
    listens = metrics["pull"]["exporter"]["prometheus"]["port"]
    assert values["livenessProbe"]["httpGet"]["port"] == listens
    assert values["readinessProbe"] == values["livenessProbe"]
    mounted = {each["name"] for each in values["extraVolumeMounts"]}
    assert mounted == {each["name"] for each in values["extraVolumes"]}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from texts(each)
    else:
        yield str(value)


def test_passwords_are_generated_files_and_stand_nowhere_else() -> None:
    made = set(init.GENERATED | init.OBSERVABILITY)
    for name, service in OWN.items():
        environment = service["environment"]
        wanted = [key for key in environment if re.search("PASSWORD|SECRET|TOKEN|KEY", key)]
        assert all(key.endswith("_FILE") for key in wanted), name
        for text in texts(service):
            assert set(re.findall(r"/run/secrets/(\w+_password)", text)) <= made
    files = [
        *MONITORING.glob("collector/*.yml"),
        MONITORING / "grafana/datasources-observability.yml",
    ]
    named = {one for path in files for one in re.findall(r"/run/secrets/(\w+)", path.read_text())}
    assert named and named <= made
    kibana = read_yaml(SEARCH / "kibana.yml")
    secret = {of for key, of in kibana.items() if re.search("password|Key", key)}
    assert secret and all(re.fullmatch(r"\$\{\w+\}", of) for of in secret)
    assert {of[2:-1] for of in secret} <= made


def test_nothing_but_loopback_can_reach_the_pages_and_the_store_is_on_an_internal_network() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published and all(port.startswith("127.0.0.1:") for port in published)
    assert OWN["elasticsearch"]["networks"] == ["search"]
    assert read_yaml(OVERLAY)["networks"]["search"]["internal"]
    # The service reaches the collector only.
    assert {name for name, of in OWN.items() if "monitoring" in of["networks"]} == {"collector"}


def test_all_services_together_fit_into_8_gb_and_each_is_limited() -> None:
    mebibytes = {"M": 1, "G": 1024}
    total = 0
    for path in (COMPOSE, OVERLAY):
        for name, service in read_yaml(path)["services"].items():
            if "image" not in service or service.get("profiles"):
                continue
            deploy = service["deploy"]
            text = re.sub(r".*:-(\w+)\}", r"\1", deploy["resources"]["limits"]["memory"])
            count = re.sub(r".*:-(\d+)\}", r"\1", str(deploy.get("replicas", 1)))
            total += int(text[:-1]) * mebibytes[text[-1]] * int(count)
            assert {"cpus", "pids"} <= deploy["resources"]["limits"].keys(), name
    assert total <= 8 * 1024


@pytest.mark.parametrize("name", OWN)
def test_each_service_is_hardened_and_checked(name: str) -> None:
    service = OWN[name]
    assert service["cap_drop"] == ["ALL"] and not service.get("cap_add")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r".+:\d[\w.]*|\$\{WEB_IMAGE:-.+\}", service["image"])
    # The collector's image is a single file.
    assert ("healthcheck" in service) == (name != "collector")


def test_fields_are_listed_and_no_caller_can_add_one() -> None:
    mappings = TEMPLATE["template"]["mappings"]
    assert mappings["dynamic"] is False
    assert TEMPLATE["template"]["settings"]["index.mapping.ignore_malformed"] is True
    assert all("ignore_above" in of for of in FIELDS.values() if of["type"] == "keyword")
    # What the pages name (docs/MONITORING.md, "Find the log lines").
    page = (ROOT / "docs" / "MONITORING.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"## Find the log lines\n(.*?)```", page, re.DOTALL)
    fields = set(re.findall(r"`([a-z_]+)`", section)) - {"web", "nginx", "connection"}
    assert "duration_ms" in fields and fields - {"timestamp"} <= FIELDS.keys()


def test_lines_live_a_week_in_indices_of_bounded_size() -> None:
    policy = json.loads((SEARCH / "lifecycle.json").read_text(encoding="utf-8"))["policy"]
    rollover = policy["phases"]["hot"]["actions"]["rollover"]
    assert rollover == {"max_age": "1d", "max_primary_shard_size": "1gb"}
    assert policy["phases"]["delete"]["min_age"] == "7d"
    stream = COLLECTOR["logs"]["exporters"]["elasticsearch"]["logs_index"]
    assert TEMPLATE["index_patterns"] == [stream]
    assert TEMPLATE["template"]["settings"]["index.lifecycle.name"] == stream


def test_kibanas_objects_refer_to_each_other_and_to_fields_that_exist() -> None:
    known = {(each["type"], each["id"]) for each in OBJECTS}
    assert {kind for kind, _ in known} == {"index-pattern", "search", "lens", "dashboard"}
    for each in OBJECTS:
        wanted = {(of["type"], of["id"]) for of in each["references"]}
        assert wanted <= known
        text = json.dumps(each)
        fields = set(re.findall(r'"sourceField": "(\w+)"', text)) - {"___records___"}
        fields |= set(each["attributes"].get("columns", ()))
        fields |= set(re.findall(r"\b(\w+)(?: :| >=)", text)) - {"n"}
        assert fields <= FIELDS.keys(), each["id"]
    (dashboard,) = (each for each in OBJECTS if each["type"] == "dashboard")
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    names = {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels}
    assert names == {of["name"] for of in dashboard["references"]}
    (view,) = (each for each in OBJECTS if each["type"] == "index-pattern")
    assert view["attributes"]["title"] == TEMPLATE["index_patterns"][0]


def test_grafanas_sources_link_traces_lines_and_metrics_to_each_other() -> None:
    files = ("datasources.yml", "datasources-observability.yml")
    sources = {
        source["uid"]: source
        for name in files
        for source in read_yaml(MONITORING / "grafana" / name)["datasources"]
    }
    variable = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"][0]["datasourceUid"]
    grafana = SERVICES["grafana"]["environment"]
    jaeger, search = sources["jaeger"]["jsonData"], sources["elasticsearch"]["jsonData"]
    linked = {
        grafana[variable.removeprefix("$")],
        jaeger["tracesToLogsV2"]["datasourceUid"],
        jaeger["tracesToMetrics"]["datasourceUid"],
        search["dataLinks"][0]["datasourceUid"],
    }
    assert linked == {"jaeger", "elasticsearch", "prometheus"}
    assert {search["logMessageField"], search["timeField"], "trace_id"} <= FIELDS.keys()
    # The plugins of both are off without the overlay.
    ini = (MONITORING / "grafana" / "grafana.ini").read_text(encoding="utf-8")
    (off,) = re.findall(r"disable_plugins = (.*)", ini)
    still = grafana["GF_PLUGINS_DISABLE_PLUGINS"]
    assert set(off.split(", ")) - set(still.split(", ")) == {"jaeger", "elasticsearch"}


def test_docker_says_whose_line_it_is_for_every_service_that_is_shipped() -> None:
    text = yaml.safe_dump(COLLECTOR["logs"]["receivers"])
    for name in ("web", "web-next", "nginx", "edge-exporter"):
        labels = SERVICES[name]["logging"]["options"]["labels"].split(",")
        assert {"com.docker.compose.project", "com.docker.compose.service"} == set(labels)
        assert all(label in text for label in labels)
