"""Adds the receivers that the environment names to alertmanager.yml.

    receivers.py SOURCE TARGET

Alertmanager reads no environment variables, so a one-shot container runs this first: it copies
SOURCE to TARGET and adds the settings below to `page`, `ticket` and `heartbeat`. Of a secret in a
file (*_FILE) only the path is written: Alertmanager reads the file, in its own container.

    ALERT_WEBHOOK_URL[_FILE]      critical and warning alerts, as Alertmanager's JSON
    ALERT_SLACK_API_URL[_FILE]    the same; ALERT_SLACK_CHANNEL for another channel
    ALERT_EMAIL_TO                the same; needs ALERT_EMAIL_FROM and ALERT_SMTP_SMARTHOST
                                  (host:port) and, where the server asks for them,
                                  ALERT_SMTP_USERNAME and ALERT_SMTP_PASSWORD[_FILE];
                                  ALERT_SMTP_REQUIRE_TLS=false for one without STARTTLS
    ALERT_HEARTBEAT_URL[_FILE]    the dead man's switch, every minute

One line on stdout says who is notified. Exit status: 0 written; 2 a wrong setting, which one line
on stderr names.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

Settings = dict[str, object]
TITLE, TEXT = '{{ template "ds.title" . }}', '{{ template "ds.text" . }}'


class WrongSetting(Exception):
    """A wrong variable; the message has its name, the problem and an example."""


def render(source: str, env: Mapping[str, str]) -> str:
    """`source` with integrations under its receivers, as JSON, which is valid YAML."""
    people = _people(env)
    heartbeat = {"webhook_configs": _webhook(env, "ALERT_HEARTBEAT_URL", send_resolved=False)}
    integrations = {"page": people, "ticket": people, "heartbeat": heartbeat}
    lines = []
    for line in source.splitlines():
        lines.append(line)
        for kind, settings in integrations.get(line.removeprefix("  - name: "), {}).items():
            if settings:
                lines.append(f"    {kind}: {json.dumps([settings])}")
    return "\n".join(lines) + "\n"


def notified(env: Mapping[str, str]) -> str:
    """Who hears of alerts, in one line."""
    kinds = [kind.removesuffix("_configs") for kind, settings in _people(env).items() if settings]
    if not kinds:
        return "no receiver is set: alerts show on its page only (docs/MONITORING.md, Receivers)"
    return f"alerts are sent by {', '.join(kinds)}"


def _people(env: Mapping[str, str]) -> dict[str, Settings]:
    return {
        "webhook_configs": _webhook(env, "ALERT_WEBHOOK_URL", send_resolved=True),
        "slack_configs": _slack(env),
        "email_configs": _email(env),
    }


def _webhook(env: Mapping[str, str], name: str, *, send_resolved: bool) -> Settings:
    url = _url(env, name, "url")
    return {"send_resolved": send_resolved, **url} if url else {}


def _slack(env: Mapping[str, str]) -> Settings:
    slack = _url(env, "ALERT_SLACK_API_URL", "api_url")
    if slack:
        slack |= {"send_resolved": True, "title": TITLE, "text": TEXT}
        if channel := env.get("ALERT_SLACK_CHANNEL"):
            slack["channel"] = channel
    return slack


def _email(env: Mapping[str, str]) -> Settings:
    if not env.get("ALERT_EMAIL_TO"):
        return {}
    if not env.get("ALERT_EMAIL_FROM"):
        raise WrongSetting(
            "ALERT_EMAIL_FROM is needed with ALERT_EMAIL_TO; for example alerts@example.org"
        )
    host, _, port = env.get("ALERT_SMTP_SMARTHOST", "").rpartition(":")
    if not host or not port.isdecimal():
        raise WrongSetting(
            "ALERT_SMTP_SMARTHOST must be host:port; for example smtp.example.org:587"
        )
    email: Settings = {
        "to": env["ALERT_EMAIL_TO"],
        "from": env["ALERT_EMAIL_FROM"],
        "smarthost": env["ALERT_SMTP_SMARTHOST"],
        "send_resolved": True,
        "headers": {"Subject": TITLE},
        "html": "",
        "text": TEXT,
    }
    require_tls = env.get("ALERT_SMTP_REQUIRE_TLS") or "true"
    if require_tls not in ("true", "false"):
        raise WrongSetting("ALERT_SMTP_REQUIRE_TLS must be true or false")
    email["require_tls"] = require_tls == "true"
    if env.get("ALERT_SMTP_USERNAME"):
        email["auth_username"] = env["ALERT_SMTP_USERNAME"]
        email |= _secret(env, "ALERT_SMTP_PASSWORD", "auth_password")
    return email


def _url(env: Mapping[str, str], name: str, key: str) -> Settings:
    secret = _secret(env, name, key)
    url = secret.get(key)
    if isinstance(url, str):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise WrongSetting(f"{name} is not a URL; for example https://example.org/alerts")
    return secret


def _secret(env: Mapping[str, str], name: str, key: str) -> Settings:
    """`{key: value}`, or `{key_file: path}`, or nothing."""
    value, path = env.get(name), env.get(f"{name}_FILE")
    if value and path:
        raise WrongSetting(f"{name} and {name}_FILE are both set; keep one of them")
    if path and not path.startswith("/"):
        raise WrongSetting(f"{name}_FILE must be a full path; for example /run/secrets/alerts")
    if path:
        return {f"{key}_file": path}
    return {key: value} if value else {}


def main(arguments: list[str]) -> int:
    """Render the file named first to the one named second."""
    if len(arguments) != 2:
        print("usage: receivers.py SOURCE TARGET", file=sys.stderr)
        return 2
    source, target = map(Path, arguments)
    try:
        text = render(source.read_text(encoding="utf-8"), os.environ)
        target.write_text(text, encoding="utf-8")
        # docker/health/check.sh has Alertmanager load its files again when this changes.
        templates = sorted(source.parent.glob("templates/*"))
        content = "".join([text, *(path.read_text(encoding="utf-8") for path in templates)])
        checksum = hashlib.sha256(content.encode()).hexdigest()
        target.with_name("configuration").write_text(checksum, encoding="utf-8")
    except (WrongSetting, OSError) as problem:
        print(f"alertmanager: {problem}", file=sys.stderr)
        return 2
    print(f"alertmanager: {notified(os.environ)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
