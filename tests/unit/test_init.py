"""docker/init/init.py: settings that cannot hold together are refused before anything starts."""

import os
from contextlib import nullcontext
from pathlib import Path

import init
import pytest

from tests.support.paths import ROOT

BODY_30_MB = {"MAX_CONTENT_LENGTH": "31457280"}
DEFAULTS = {
    "MAX_CONTENT_LENGTH": "1048576",
    "WEB_MEMORY": "384M",
    "WEB_CPUS": "1.0",
    "WEB_CONCURRENCY": "0",
}


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        (BODY_30_MB, "1800M"),
        (BODY_30_MB | {"WEB_MEMORY": "1g"}, "1800M"),
        (BODY_30_MB | {"WEB_MEMORY": "1.5Gb", "WEB_CPUS": "3.5"}, "3600M"),
        (BODY_30_MB | {"WEB_MEMORY": "943718399"}, "1800M"),
        (BODY_30_MB | {"WEB_MEMORY": "943718399b", "WEB_CONCURRENCY": "1"}, "900M"),
    ],
)
def test_bodies_that_the_memory_cannot_hold_are_refused(
    settings: dict[str, str], needed: str
) -> None:
    with pytest.raises(ValueError, match=f"MAX_CONTENT_LENGTH.* WEB_MEMORY={needed} or more"):
        init.refuse_bodies_beyond_memory(DEFAULTS | settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"WEB_CONCURRENCY": "many"},
        *(BODY_30_MB | {"WEB_MEMORY": m} for m in ("1800M", "2G", "0")),
    ],
)
def test_others_are_not(settings: dict[str, str]) -> None:
    init.refuse_bodies_beyond_memory(DEFAULTS | settings)


@pytest.mark.parametrize(("other_files", "refused"), [("", True), ("1", False)])
def test_another_tools_env_file_is_refused_at_the_first_start_unless_compose_ignores_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_files: str, refused: bool
) -> None:
    monkeypatch.setattr(init, "HOST", tmp_path)
    monkeypatch.setattr(init, "VOLUMES", tmp_path)
    monkeypatch.setenv("OTHER_ENV_FILES", other_files)
    own = tmp_path / "clone" / "infrastructure"
    own.mkdir(parents=True)
    (own / ".env.example").write_text("#LOG_LEVEL=INFO\n")
    (tmp_path / "clone" / ".env").write_text("PORT=1\nLOG_LEVEL=LOUD\n")
    remedy = "sets LOG_LEVEL: .* COMPOSE_ENV_FILES=.* COMPOSE_DISABLE_ENV_FILE=1"

    with pytest.raises(ValueError, match=remedy) if refused else nullcontext():
        init.compare_env_files()


def test_with_traces_and_log_search_each_service_gets_its_own_passwords_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init, "HOST", ROOT)
    monkeypatch.setattr(init, "VOLUMES", tmp_path)
    monkeypatch.setattr(os, "fchown", lambda *_: None)
    (tmp_path / "secrets").mkdir()
    secret = {name: f"value-of-{name}".encode() for name in init.GENERATED | init.OBSERVABILITY}

    init.hand_out(secret, b"certificate")

    given = {
        folder.name: {file.name for file in folder.iterdir()}
        for folder in (tmp_path / "secrets").iterdir()
    }
    assert given["collector"] == {"elasticsearch_collector_password"}
    assert given["elasticsearch"] == {"elasticsearch_password"}
    assert given["kibana"] == {"kibana.yml"}
    assert {name for name in given["grafana"] if "elastic" in name} == {
        "elasticsearch_grafana_password"
    }
    assert not any("elastic" in name or "kibana" in name for name in given["web"] | given["nginx"])
    kibana = (tmp_path / "secrets" / "kibana" / "kibana.yml").read_text(encoding="utf-8")
    assert 'elasticsearch.password: "value-of-kibana_password"' in kibana
