"""nginx: TLS, redirects, headers, static files, hidden paths."""

import re
import socket
import ssl
import subprocess
import time
from typing import Any

import pytest
import requests
from deploy.nginx import ADDRESS, WEB_ONLY

from tests.e2e.stack import Stack
from tests.support.processes import run, wait_until


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_is_spoken_with_the_stacks_own_certificate(
    stack: Stack, version: ssl.TLSVersion
) -> None:
    with connect_tls(stack, minimum_version=version, maximum_version=version) as connection:
        assert connection.version() == version.name.replace("_", ".")


def test_tls_older_than_1_2_is_refused(stack: Stack) -> None:
    with pytest.raises(ssl.SSLError), pytest.warns(DeprecationWarning):
        connect_tls(
            stack, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1
        )


def test_http_2_is_offered_over_tls(stack: Stack) -> None:
    with connect_tls(stack, protocols=("h2", "http/1.1")) as connection:
        assert connection.selected_alpn_protocol() == "h2"


def test_plain_http_asked_for_by_another_name_is_sent_to_https(stack: Stack) -> None:
    answer = stack.send_raw("GET /api/v1/info?a=b HTTP/1.1\nHost: shop.example.com")

    assert answer.status == 308
    expected = f"https://shop.example.com:{stack.settings['HTTPS_PORT']}/api/v1/info?a=b"
    assert answer.headers["location"] == expected


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080"])
def test_plain_http_asked_for_by_a_loopback_name_is_answered(stack: Stack, host: str) -> None:
    assert stack.send_raw(f"GET /api/v1/info HTTP/1.1\nHost: {host}").status == 200


def test_health_is_never_redirected(stack: Stack) -> None:
    assert stack.send_raw("GET /health HTTP/1.1\nHost: shop.example.com").status == 200


def test_hsts_is_sent_over_https_only_and_not_for_localhost(stack: Stack) -> None:
    trust = str(stack.folder / "certs" / "tls.crt")
    named = {"Host": "shop.example.com"}

    over_https = requests.get(f"{stack.https}/health", headers=named, verify=trust, timeout=5)
    local = requests.get(f"{stack.https}/health", verify=trust, timeout=5)
    plain = requests.get(f"{stack.http}/health", headers=named, timeout=5)

    assert over_https.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in local.headers
    assert "Strict-Transport-Security" not in plain.headers


@pytest.mark.parametrize("path", ["/health", "/metrics", "/static/icon.svg", "/nothing/here", "/"])
def test_every_answer_carries_each_security_header_once(stack: Stack, path: str) -> None:
    answer = requests.get(stack.http + path, timeout=5)

    headers = answer.raw.headers
    assert headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert headers.getlist("X-Frame-Options") == ["DENY"]
    assert len(headers.getlist("Referrer-Policy")) == 1
    assert len(headers.getlist("Content-Security-Policy")) == 1
    assert len(headers.getlist("X-Request-ID")) == 1
    assert headers["Server"] == "nginx"
    assert "X-Route" not in headers  # for nginx's log alone


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/%6detrics", "//metrics", "/x/..%2fmetrics", "/metrics?a=b", "/stub_status"],
)
def test_metrics_and_the_status_page_are_not_served_to_the_outside(stack: Stack, path: str) -> None:
    answer = stack.send_raw(f"GET {path} HTTP/1.1\nHost: localhost")

    assert answer.status == 404
    assert b"# HELP" not in answer.body and b"Active connections" not in answer.body
    answer.assert_problem()


def test_a_static_file_comes_from_nginx_and_may_be_kept(stack: Stack) -> None:
    plain = requests.get(f"{stack.http}/static/icon.svg", timeout=5)
    versioned = requests.get(f"{stack.http}/static/icon.svg?v=1.2.3", timeout=5)
    again = requests.get(
        f"{stack.http}/static/icon.svg",
        headers={"If-None-Match": plain.headers["ETag"]},
        timeout=5,
    )

    assert plain.headers["Content-Type"] == "image/svg+xml"
    assert plain.headers["Cache-Control"] == "public, max-age=3600"
    assert versioned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert again.status_code == 304
    requested = [line for line in stack.logs("web").splitlines() if "/static/icon.svg" in line]
    assert not requested


def test_a_large_text_is_compressed_and_a_small_one_is_not(stack: Stack) -> None:
    large = requests.get(f"{stack.http}/openapi.json", timeout=5)
    small = requests.get(f"{stack.http}/health", timeout=5)

    assert large.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in large.headers["Vary"]
    assert "Content-Encoding" not in small.headers


def test_an_error_of_nginx_is_a_page_for_a_browser(stack: Stack) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

    answer = requests.get(f"{stack.http}/metrics", headers={"Accept": accept}, timeout=5)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "text/html"
    assert re.search(f"<code>{answer.headers['X-Request-ID']}</code>", answer.text)


def test_a_folder_is_redirected_to_the_port_that_was_asked(stack: Stack) -> None:
    answer = requests.get(f"{stack.http}/static/console", allow_redirects=False, timeout=5)

    assert answer.status_code == 301 and answer.headers["Location"] == "/static/console/"


@pytest.mark.slow
def test_a_restart_does_not_wait_for_idle_clients(stack: Stack) -> None:
    with requests.Session() as client:
        assert client.get(f"{stack.http}/health", timeout=5).ok
        started = time.monotonic()
        stack.compose("restart", "nginx")
        # The grace period is 45 s, and idle connections used to be kept for 15 s.
        assert time.monotonic() - started < 10
    stack.up()


@pytest.mark.slow
def test_a_setting_is_taken_without_replacing_nginx_and_a_wrong_one_changes_nothing(
    stack: Stack,
) -> None:
    def up(**settings: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "up", "--detach", "--no-build", "nginx"]
        return run(command, env=stack.environment | settings)

    def redirected() -> bool:
        answer = requests.get(f"{stack.http}/api/v1/info", allow_redirects=False, timeout=5)
        return answer.status_code == 308

    before = stack.containers("nginx"), stack.inspect("nginx")["Id"]
    refused = up(CLIENT_BURST="0")
    assert refused.returncode and "CLIENT_BURST" in stack.logs("init").splitlines()[-1]
    assert requests.get(f"{stack.http}/health", timeout=5).ok

    assert up(HTTPS_REDIRECT="on").returncode == 0
    wait_until(redirected, seconds=30, why="the setting is in force")
    assert (stack.containers("nginx"), stack.inspect("nginx")["Id"]) == before

    stack.up()
    wait_until(lambda: not redirected(), seconds=30, why="the default is in force again")


@pytest.mark.parametrize("share", ["percent=101&writes=1&retry=0", "percent=50", ""])
def test_a_share_of_traffic_that_is_malformed_changes_nothing(stack: Stack, share: str) -> None:
    before = stack.run_in("nginx", "wget", "-qO-", ADDRESS)

    with pytest.raises(AssertionError, match="400"):
        stack.run_in("nginx", "wget", "-qO-", f"--post-data={share}", ADDRESS)

    assert stack.run_in("nginx", "wget", "-qO-", ADDRESS) == before == f"{WEB_ONLY}\n"


def connect_tls(
    stack: Stack, protocols: tuple[str, ...] = ("http/1.1",), **options: Any
) -> ssl.SSLSocket:
    """A TLS connection; `options` are set on the context that trusts the stack's certificate."""
    context = ssl.create_default_context(cafile=str(stack.folder / "certs" / "tls.crt"))
    for name, value in options.items():
        setattr(context, name, value)
    context.set_alpn_protocols(protocols)
    plain = socket.create_connection(("127.0.0.1", int(stack.settings["HTTPS_PORT"])), 20)
    return context.wrap_socket(plain, server_hostname="localhost")
