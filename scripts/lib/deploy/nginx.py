"""Where nginx sends requests: the configuration for each stage of a deploy.

A server given by name is unknown to a new nginx worker until its DNS query is answered; from the
workers before, it takes over only primary servers of the same name. So every server that is new to
a stage is given by address: no worker ever starts without a server to send to.
"""

import time
from collections.abc import Sequence
from math import gcd

from command_error import CommandError

from .docker_client import ROOT, DockerClient

PORT = 8000
FOLDER = "/etc/nginx/upstreams"
# nginx ends an old worker at the latest after worker_shutdown_timeout, 60 s.
OLD_WORKERS_SECONDS = 75.0

# A failing replica is skipped for a second …
SKIPPED = "max_fails=3 fail_timeout=1s"
# … but not while answers of 500 count as failures: an error in both versions would skip all.
NEVER_SKIPPED = "max_fails=0"

RETRY = "proxy_next_upstream error timeout;\n"
RETRY_ERRORS = "proxy_next_upstream error timeout http_500 http_502 http_503 http_504;\n"

REPLACE = """\
cd "$1" && cat > new && cp traffic.conf previous && mv new traffic.conf || exit 1
if ! nginx -t -q; then mv previous traffic.conf; exit 1; fi
nginx -s reload
"""


def stable() -> str:
    """Between deploys: all requests go to `web`."""
    return (ROOT / "docker" / "nginx" / "upstreams" / "traffic.conf").read_text(encoding="utf-8")


def split(web: list[str], candidate: list[str], percent: int, *, writes: bool) -> str:
    """The candidate gets a share; an error that it answers is retried on `web`.

    Args:
        web, candidate: addresses of the replicas.
        percent: of the requests, 1 to 99.
        writes: whether the candidate gets POST and PATCH too, which nginx never repeats.
    """
    ours, theirs = percent * len(web), (100 - percent) * len(candidate)
    ours, theirs = ours // gcd(ours, theirs), theirs // gcd(ours, theirs)
    servers = [f"web:{PORT} resolve weight={theirs} {NEVER_SKIPPED}"]
    servers += [f"{address}:{PORT} weight={ours} {SKIPPED}" for address in candidate]
    if writes:
        return _configuration(servers, RETRY_ERRORS)
    return _configuration(servers, RETRY_ERRORS, [f"{one}:{PORT} {SKIPPED}" for one in web])


def cut_over(candidate: list[str], *, retry_errors: bool) -> str:
    """The candidate gets everything; `web` is the backup if no candidate can be reached.

    Args:
        candidate: addresses of the replicas.
        retry_errors: whether an error is retried on `web`, which still has the old version.
    """
    servers = [f"{address}:{PORT} {NEVER_SKIPPED}" for address in candidate]
    servers.append(f"web:{PORT} resolve {SKIPPED} backup")
    return _configuration(servers, RETRY_ERRORS if retry_errors else RETRY)


def promote(web: list[str], candidate: list[str]) -> str:
    """`web` gets everything again; the candidate, if there is one, is the backup."""
    servers = [f"{address}:{PORT} {SKIPPED}" for address in web]
    servers.append(f"web:{PORT} resolve {SKIPPED}")
    servers += [f"{address}:{PORT} {SKIPPED} backup" for address in candidate]
    return _configuration(servers, RETRY)


class Nginx:
    """The proxy of the running stack."""

    def __init__(self, docker: DockerClient) -> None:
        self._docker = docker
        running = docker.running("nginx")
        if not running:
            raise CommandError("nginx is not running: start the stack first (./scripts/setup.sh)")
        self._container = running[0]
        self._replaced: set[str] = set()

    def addresses(self, service: str) -> list[str]:
        """The addresses of a service's running replicas on the network they share with nginx."""
        replicas, shared = self._docker.running(service), self._container.addresses.keys()
        found = [one.addresses[name] for one in replicas for name in one.addresses.keys() & shared]
        if len(found) != len(replicas):
            raise CommandError(f"nginx shares no network with {replicas[0].name}")
        return found

    def apply(self, configuration: str) -> None:
        """Replace the configuration; if nginx refuses it, the previous one stays."""
        self._replaced |= self._workers()
        command = ("exec", "--interactive", self._container.id, "sh", "-c", REPLACE, "sh", FOLDER)
        self._docker.docker(*command, given=configuration)

    def current(self) -> str:
        return self._docker.docker("exec", self._container.id, "cat", f"{FOLDER}/traffic.conf")

    def wait_for_old_workers(self) -> None:
        """Wait until no nginx worker has a configuration older than the current one.

        They end when their clients' connections do: at once where a connection is in use, after
        keepalive_min_timeout (15 s) where it is idle. After that nothing is sent to replicas that
        only the older configurations name.
        """
        deadline = time.monotonic() + OLD_WORKERS_SECONDS
        while self._replaced & self._workers():
            if time.monotonic() > deadline:
                raise CommandError(f"nginx's old workers did not end in {OLD_WORKERS_SECONDS:g} s")
            time.sleep(0.5)
        self._replaced.clear()

    def _workers(self) -> set[str]:
        lines = self._docker.docker("top", self._container.id, "-eo", "pid,args").splitlines()
        return {line.split()[0] for line in lines if "nginx: worker process" in line}


def _configuration(servers: list[str], retry: str, servers_for_writes: Sequence[str] = ()) -> str:
    text, methods = "# Written by scripts/deploy.sh, for as long as it runs.\n", ""
    text += _upstream("service", servers)
    if servers_for_writes:
        text += _upstream("service_writes", servers_for_writes)
        methods = " POST service_writes; PATCH service_writes;"
    return f"{text}map $request_method $pool {{ default service;{methods} }}\n{retry}"


def _upstream(name: str, servers: Sequence[str]) -> str:
    lines = "".join(f"    server {server};\n" for server in servers)
    include = "    include /etc/nginx/includes/upstream.conf;\n"
    return f"upstream {name} {{\n    zone {name} 256k;\n{lines}{include}}}\n"
