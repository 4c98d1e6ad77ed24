"""IPV6=true: nginx sees the addresses of IPv6 clients.

What the engine does to those from outside is its own matter: they come through ip6tables, which not
every engine has. A container on nginx's network needs nothing translated.
"""

import json
from collections.abc import Iterator

import pytest
import requests

from tests.e2e.stack import Stack, docker, inspect, new_stack, started

pytestmark = pytest.mark.slow
ASK = """
import ssl, sys, urllib.request
context = ssl._create_unverified_context()
for url in sys.argv[1:]:
    print(urllib.request.urlopen(url, timeout=10, context=context).status)
"""


@pytest.fixture(scope="module")
def ipv6(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = new_stack(tmp_path_factory.mktemp("ipv6"), "ipv6", IPV6="true", HTTPS_REDIRECT="off")
    running.services = ["web", "nginx"]
    with started(running):
        yield running


def test_clients_have_their_own_addresses(ipv6: Stack) -> None:
    network = f"{ipv6.project}_edge"
    address = ipv6.inspect("nginx")["NetworkSettings"]["Networks"][network]["GlobalIPv6Address"]
    urls = [f"http://[{address}]:8080/api/v1/info", f"https://[{address}]:8443/api/v1/info"]
    client = f"{ipv6.project}-client"
    image = ipv6.settings["WEB_IMAGE"]
    run = ("run", "--detach", "--network", network, "--name", client, "--entrypoint", "sleep")
    docker(*run, image, "60")
    try:
        own = inspect(client)["NetworkSettings"]["Networks"][network]["GlobalIPv6Address"]
        assert docker("exec", client, "python", "-c", ASK, *urls).split() == ["200", "200"]
    finally:
        docker("rm", "--force", client)

    lines = [json.loads(line) for line in ipv6.logs("nginx").splitlines() if "request_id" in line]
    assert [line["client_ip"] for line in lines if line["path"] == "/api/v1/info"] == [own] * 2


def test_the_published_port_is_reached(ipv6: Stack) -> None:
    assert requests.get(f"http://[::1]:{ipv6.settings['HTTP_PORT']}/health", timeout=10).ok
