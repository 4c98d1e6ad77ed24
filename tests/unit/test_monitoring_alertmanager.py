"""Alertmanager's file, and the receivers that the environment adds to it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from tests.support.monitoring import MONITORING, run_tool
from tests.support.processes import output_of, run

# Getting amtool's image may take a while the first time.
pytestmark = pytest.mark.timeout(600)

SOURCE = MONITORING / "alertmanager" / "alertmanager.yml"
PROGRAM = MONITORING / "alertmanager" / "receivers.py"
EMAIL = {
    "ALERT_EMAIL_TO": "oncall@example.org",
    "ALERT_EMAIL_FROM": "alerts@example.org",
    "ALERT_SMTP_SMARTHOST": "smtp.example.org:587",
}
EVERYTHING = {
    "ALERT_WEBHOOK_URL": "https://example.org/alerts",
    "ALERT_SLACK_API_URL_FILE": "/run/secrets/alert_slack_api_url",
    "ALERT_SLACK_CHANNEL": "#ops",
    **EMAIL,
    "ALERT_SMTP_USERNAME": "alerts",
    "ALERT_SMTP_PASSWORD_FILE": "/run/secrets/alert_smtp_password",
    "ALERT_HEARTBEAT_URL": "https://example.org/heartbeat",
}


def render(target: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": os.environ["PATH"], **environment}
    return run([sys.executable, PROGRAM, SOURCE, target], env=settings)


def receivers(target: Path, **environment: str) -> dict[str, dict[str, list[dict[str, object]]]]:
    output_of(render(target, **environment))
    return {one.pop("name"): one for one in yaml.safe_load(target.read_text())["receivers"]}


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, EVERYTHING], ids=["nothing set", "everything set"])
def test_alertmanager_accepts_the_file(tmp_path: Path, environment: dict[str, str]) -> None:
    rendered = tmp_path / "alertmanager.yml"
    render(rendered, **environment)
    # The templates lie elsewhere in the container.
    text = rendered.read_text().replace("/etc/alertmanager", str(MONITORING / "alertmanager"))
    rendered.write_text(text)

    said = output_of(run_tool("amtool", "check-config", rendered))
    assert "1 templates" in said


def test_without_settings_the_file_stays_as_it_is_and_the_program_says_so(tmp_path: Path) -> None:
    done = render(tmp_path / "made")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "no receiver is set: alerts show on its page only" in done.stdout
    assert (tmp_path / "made").read_text() == SOURCE.read_text()
    assert receivers(tmp_path / "made")["page"] == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"severity": "critical", "alertname": "RedisDown"}, "page"),
        ({"severity": "critical", "alertname": "RedisDown", "component": "redis"}, "page"),
        ({"severity": "warning", "alertname": "RedisEvicts"}, "ticket"),
        ({"severity": "none", "alertname": "DeadMansSwitch"}, "heartbeat"),
        ({"severity": "none", "alertname": "Anything"}, "ticket"),
    ],
)
def test_an_alert_goes_where_its_severity_sends_it(labels: dict[str, str], receiver: str) -> None:
    named = [f"{name}={value}" for name, value in labels.items()]
    done = run_tool("amtool", "config", "routes", "test", f"--config.file={SOURCE}", *named)
    assert done.stdout.strip() == receiver, done.stderr


def test_people_get_pages_and_tickets_and_the_heartbeat_its_switch(tmp_path: Path) -> None:
    said = render(tmp_path / "made", **EVERYTHING).stdout
    made = receivers(tmp_path / "made", **EVERYTHING)

    assert said == "alertmanager: alerts are sent by webhook, slack, email\n"
    assert set(made["page"]) == {"webhook_configs", "slack_configs", "email_configs"}
    assert made["ticket"] == made["page"]
    (heartbeat,) = made["heartbeat"]["webhook_configs"]
    assert heartbeat["url"] == EVERYTHING["ALERT_HEARTBEAT_URL"]


NOTIFICATION = {
    "receiver": "page",
    "status": "firing",
    "externalURL": "https://alerts.example.org",
    "groupLabels": {"namespace": "shop"},
    "alerts": [
        {
            "status": status,
            "labels": {"alertname": name, "namespace": "shop", "severity": "critical", **labels},
            "annotations": {
                "summary": f"{name} summary",
                "description": "What it means.",
                "runbook_url": f"https://git.example.org/docs/MONITORING.md#{name.lower()}",
                "dashboard_url": f"https://grafana.example.org/d/{dashboard}",
            },
            "startsAt": "2026-05-01T03:00:00Z",
            "endsAt": "2026-05-01T03:20:00Z",
        }
        for status, name, labels, dashboard in (
            ("firing", "ErrorBudgetBurnsFast", {"slo": "availability"}, "ds-slo"),
            ("firing", "ErrorBudgetBurnsFast", {"slo": "latency"}, "ds-slo"),
            ("firing", "RedisDown", {}, "ds-redis?var-instance=a"),
            ("resolved", "TargetMissing", {"instance": "http://a/"}, "ds-system"),
        )
    ],
}


def message(tmp_path: Path, template: str) -> str:
    data = tmp_path / "data.json"
    data.write_text(json.dumps(NOTIFICATION))
    glob = MONITORING / "alertmanager" / "templates" / "*.tmpl"
    text = f'{{{{ template "{template}" . }}}}'
    where = (f"--template.glob={glob}", f"--template.text={text}", f"--template.data={data}")
    said = output_of(run_tool("amtool", "template", "render", *where))
    return said


@pytest.mark.slow
def test_a_message_names_each_alert_once_and_leads_to_its_cause(tmp_path: Path) -> None:
    title = message(tmp_path, "ds.title").strip()
    lines = message(tmp_path, "ds.text").splitlines()

    assert title == "[FIRING] ErrorBudgetBurnsFast, RedisDown (shop)"
    # 2:30 to now; the one that is over, until 3:30. Milliseconds, in UTC.
    since, until = 1777602600000, 1777606200000
    board = "Dashboard: https://grafana.example.org/d"
    assert f"{board}/ds-redis?var-instance=a&from={since}&to=now&var-namespace=shop" in lines
    assert f"{board}/ds-system?from={since}&to={until}&var-namespace=shop" in lines
    assert "Runbook: https://git.example.org/docs/MONITORING.md#redisdown" in lines
    silence = next(line for line in lines if line.startswith("Silence: "))
    page, _, matchers = silence.removeprefix("Silence: ").partition("?filter=")
    assert page == "https://alerts.example.org/#/silences/new"
    assert unquote(matchers) == (
        '{alertname="ErrorBudgetBurnsFast",namespace="shop",severity="critical",slo="availability"}'
    )


@pytest.mark.parametrize(("setting", "required"), [("", True), ("true", True), ("false", False)])
def test_mail_needs_starttls_unless_set(tmp_path: Path, setting: str, required: bool) -> None:
    made = receivers(tmp_path / "made", **EMAIL, ALERT_SMTP_REQUIRE_TLS=setting)
    (email,) = made["page"]["email_configs"]
    assert email["require_tls"] is required


def test_a_secret_given_as_a_file_is_named_and_not_read(tmp_path: Path) -> None:
    made = receivers(tmp_path / "made", ALERT_WEBHOOK_URL_FILE="/run/secrets/alert_webhook_url")
    assert made["page"]["webhook_configs"] == [
        {"send_resolved": True, "url_file": "/run/secrets/alert_webhook_url"}
    ]


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"ALERT_WEBHOOK_URL": "example.org/alerts"}, "ALERT_WEBHOOK_URL is not a URL"),
        ({"ALERT_HEARTBEAT_URL": "ftp://example.org"}, "ALERT_HEARTBEAT_URL is not a URL"),
        (
            {"ALERT_WEBHOOK_URL": "https://a.b", "ALERT_WEBHOOK_URL_FILE": "/run/secrets/a"},
            "ALERT_WEBHOOK_URL and ALERT_WEBHOOK_URL_FILE are both set",
        ),
        ({"ALERT_SLACK_API_URL_FILE": "slack"}, "ALERT_SLACK_API_URL_FILE must be a full path"),
        ({"ALERT_EMAIL_TO": "a@b.c"}, "ALERT_EMAIL_FROM is needed"),
        (EMAIL | {"ALERT_SMTP_REQUIRE_TLS": "no"}, "ALERT_SMTP_REQUIRE_TLS must be true or false"),
        (EMAIL | {"ALERT_SMTP_SMARTHOST": "smtp"}, "ALERT_SMTP_SMARTHOST must be host:port"),
    ],
)
def test_a_wrong_setting_is_one_line(
    tmp_path: Path, environment: dict[str, str], named: str
) -> None:
    done = render(tmp_path / "made", **environment)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert named in done.stderr
    assert not (tmp_path / "made").exists()
