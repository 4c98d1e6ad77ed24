"""Which service reaches which: tried from inside the containers; and the published ports."""

import ipaddress
import json
import socket

import pytest

from tests.e2e.stack import Stack, docker, inspect_all, service_of

# Tries all addresses at once and prints those that accept a connection.
CONNECT = """
import concurrent.futures, socket, sys
def reachable(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError:
        return False
    return True
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    answers = pool.map(reachable, sys.argv[1:])
print(*(address for address, answer in zip(sys.argv[1:], answers) if answer), "done")
"""
# Outside every network of this machine, and answering where there is a way out.
OUTSIDE = "1.1.1.1:443"
PORTS = {
    "web": 8000,
    "redis": 6379,
    "prometheus": 9090,
    "alertmanager": 9093,
    "node-exporter": 9100,
    "redis-exporter": 9121,
    "edge-exporter": 9145,
    "nginx-status": 8082,
}


def reach(stack: Stack, service: str, addresses: list[str]) -> set[str]:
    """Which of these `host:port` a service can connect to, tried on its own network."""
    network = f"container:{stack.containers(service)[0]}"
    image = stack.settings["WEB_IMAGE"]
    command = ("python", "-c", CONNECT, *addresses)
    words = docker("run", "--rm", "--network", network, image, *command).split()
    assert words[-1] == "done"
    return set(words[:-1])


def everything(stack: Stack) -> dict[str, str]:
    """Addresses of all services, by name and by number, and whose they are."""
    targets = {f"{service}:{port}": service for service, port in PORTS.items()}
    for service, port in PORTS.items():
        networks = stack.inspect(service.replace("-status", ""))["NetworkSettings"]["Networks"]
        targets |= {f"{one['IPAddress']}:{port}": service for one in networks.values()}
    return targets | {OUTSIDE: "the internet"}


@pytest.mark.parametrize(
    ("service", "allowed"),
    [
        ("nginx", {"web", "nginx-status"}),
        ("web", PORTS.keys() - {"nginx-status", "alertmanager"}),
        ("redis", {"web", "redis", "redis-exporter"}),
        ("nginx-exporter", PORTS.keys() - {"redis", "alertmanager"}),
        ("prometheus", PORTS.keys() - {"redis", "nginx-status"}),
        ("node-exporter", PORTS.keys() - {"redis", "nginx-status", "alertmanager"}),
        ("blackbox-exporter", PORTS.keys() - {"redis", "alertmanager"}),
    ],
)
def test_a_service_reaches_its_own_networks_and_nothing_else(
    stack: Stack, service: str, allowed: set[str]
) -> None:
    targets = everything(stack)

    reached = {targets[address] for address in reach(stack, service, list(targets))}

    assert reached == allowed


def test_only_nginx_is_published_beyond_this_machine(stack: Stack) -> None:
    published: dict[str, set[str]] = {}
    for found in inspect_all(stack.containers()):
        ports = found["HostConfig"]["PortBindings"] or {}
        addresses = {one["HostIp"] or "all" for many in ports.values() for one in many}
        if addresses:
            published[service_of(found)] = addresses

    assert published.pop("nginx") == {"all"}
    assert set().union(*published.values()) == {"127.0.0.1"}
    assert set(published) <= {"prometheus", "alertmanager", "grafana"}


def test_the_networks_that_need_no_way_out_have_none(stack: Stack) -> None:
    names = docker(
        *("network", "ls", "--format", "{{.Name}}"),
        *("--filter", f"label=com.docker.compose.project={stack.project}"),
    ).split()
    found = json.loads(docker("network", "inspect", *names))
    internal = {one["Name"].rsplit("_", 1)[1]: one["Internal"] for one in found}

    assert {name for name, inside in internal.items() if inside} == {
        *("app", "data", "probe", "monitoring", "alerts")
    }


def test_a_service_does_not_reach_the_host(stack: Stack) -> None:
    labels = f"label=com.docker.compose.project={stack.project}"
    names = docker("network", "ls", "--format", "{{.Name}}", "--filter", labels).split()
    found = json.loads(docker("network", "inspect", *names))
    subnets = [one["IPAM"]["Config"][0]["Subnet"] for one in found if one["Internal"]]
    # The host's own address, if it has one there.
    gateways = [str(ipaddress.ip_network(subnet)[1]) for subnet in subnets]
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        addresses = [f"{address}:{port}" for address in gateways]

        reached = [reach(stack, service, addresses) for service in ("web", "redis")]

    assert len(addresses) == 5 and reached == [set(), set()]
