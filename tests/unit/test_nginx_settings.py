"""docker/init/nginx_settings.py: nginx's settings from .env, and one line for a wrong one."""

import re
import shutil
from pathlib import Path

import nginx_settings
import pytest

from scripts.lib import nginx_dump

DEFAULTS = nginx_dump.defaults()
TEMPLATE = (nginx_dump.SOURCE / "settings.conf.template").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("CLIENT_BURST", value) for value in ("0", "-1", "many", "", "1.5")],
        *[("CLIENT_CONNECTIONS", value) for value in ("0", "65536")],
        *[("CLIENT_REQUESTS_PER_SECOND", value) for value in ("0", "0.5", "5r/s")],
        *[("MAX_CONTENT_LENGTH", value) for value in ("1m", "1000")],
        *[("REQUEST_TIMEOUT_SECONDS", value) for value in ("0", "3601")],
        *[("HTTPS_PORT", value) for value in ("https", "65536")],
        ("APP_ENV", '"; }'),
        *[("HTTPS_REDIRECT", value) for value in ("true", "On", "")],
        ("IPV6", "on"),
        *[
            ("TRUSTED_PROXIES", value)
            for value in ("10.0.0.0/33", "balancer", "10.0.0.1;", "fe80::1%2")
        ],
        *[("TRUSTED_HOSTS", value) for value in ("a;b", "example.org{}")],
    ],
)
def test_a_wrong_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name) as refused:
        nginx_settings.fill_in(TEMPLATE, DEFAULTS | {name: value})
    assert "\n" not in str(refused.value)


def test_settings_reach_the_directives_they_are_for_and_without_them_nobody_is_believed() -> None:
    settings = {
        **{"CLIENT_BURST": "7", "REQUEST_TIMEOUT_SECONDS": "120", "HTTPS_PORT": "127.0.0.1:9443"},
        "TRUSTED_PROXIES": "10.1.0.0/16, 2001:db8::/32",
        "TRUSTED_HOSTS": "Example.org,.example.com",
    }
    filled = nginx_settings.fill_in(TEMPLATE, DEFAULTS | settings)
    without = nginx_settings.fill_in(TEMPLATE, DEFAULTS)

    assert "burst=7 " in filled and "proxy_read_timeout 125s;" in filled and '":9443"' in filled
    assert re.findall(r"set_real_ip_from (.*);", filled) == ["10.1.0.0/16", "2001:db8::/32"]
    assert "real_ip_recursive on;" in filled
    assert 'default "yes";\n    example.org "";\n    .example.com "";' in filled
    assert "real_ip" not in without
    assert re.search(r'\$untrusted_host \{\s+hostnames;\s+default "";\s+\}', without)


def test_a_host_name_that_nginx_would_refuse_beside_the_others_is_left_out_or_escaped() -> None:
    names = "example.org,EXAMPLE.org, a.org .a.org,include"
    filled = nginx_settings.fill_in(TEMPLATE, DEFAULTS | {"TRUSTED_HOSTS": names})

    assert 'default "yes";\n    example.org "";\n    .a.org "";\n    \\include "";\n}' in filled


def test_a_changed_file_or_setting_is_another_version(tmp_path: Path) -> None:
    shutil.copytree(nginx_dump.SOURCE, tmp_path / "nginx")

    def version(**settings: str) -> bytes:
        return nginx_settings.site(tmp_path / "nginx", DEFAULTS | settings)["version"]

    first = version()
    assert version() == first
    assert version(CLIENT_BURST="7") != first
    with (tmp_path / "nginx" / "edge.js").open("a") as file:
        file.write("// changed\n")
    assert version() != first
