"""Where nginx sends requests: the file that says so, for each stage of a deploy.

A server given by name is unknown to a new nginx worker until its DNS query is answered; what nginx
takes over from the workers before is only what was a primary server of the same name. So that no
worker ever starts with nowhere to send to, every server new to a stage is given by address.
"""

from math import gcd

from . import ROOT, Problem
from .engine import Container, Engine
from .waiting import wait_until

PORT = 8000
FOLDER = "/etc/nginx/upstreams"
# nginx ends an old worker at the latest after worker_shutdown_timeout, 60 s.
OLD_WORKERS_SECONDS = 75.0

# A failing replica is left out for a second …
LEFT_OUT = "max_fails=3 fail_timeout=1s"
# … but not while answers of 500 count as failures: an error in both versions would leave out all.
NEVER_LEFT_OUT = "max_fails=0"

REPLACE = """\
cd "$1" && cat > new && cp traffic.conf before && mv new traffic.conf || exit 1
if ! nginx -t -q; then mv before traffic.conf; exit 1; fi
nginx -s reload
"""


def stable() -> str:
    """Between deploys: all requests go to `web`."""
    return (ROOT / "docker" / "nginx" / "upstreams" / "traffic.conf").read_text(encoding="utf-8")


def shared(web: list[str], candidate: list[str], percent: int, *, writes: bool) -> str:
    """The candidate gets a share, and what it answers with an error is asked again of `web`.

    Args:
        web, candidate: addresses of the replicas.
        percent: of the requests, 1 to 99.
        writes: whether the candidate gets POST and PATCH too, which nginx never repeats.
    """
    ours, theirs = percent * len(web), (100 - percent) * len(candidate)
    ours, theirs = ours // gcd(ours, theirs), theirs // gcd(ours, theirs)
    servers = [f"web:{PORT} resolve weight={theirs} {NEVER_LEFT_OUT}"]
    servers += [f"{address}:{PORT} weight={ours} {LEFT_OUT}" for address in candidate]
    text = _upstream("service", servers)
    methods = ""
    if not writes:
        text += _upstream("service_writes", [f"{one}:{PORT} {LEFT_OUT}" for one in web])
        methods = " POST service_writes; PATCH service_writes;"
    return f"{_HEAD}{text}map $request_method $pool {{ default service;{methods} }}\n{_RETRIES}"


def handed_over(candidate: list[str], *, retry_errors: bool) -> str:
    """The candidate gets everything; `web` stands by for when no candidate can be reached.

    Args:
        candidate: addresses of the replicas.
        retry_errors: whether `web`, still the old version, is asked after an error, too.
    """
    servers = [f"{address}:{PORT} {NEVER_LEFT_OUT}" for address in candidate]
    servers.append(f"web:{PORT} resolve {LEFT_OUT} backup")
    return f"{_HEAD}{_upstream('service', servers)}{_MAP}{_RETRIES if retry_errors else _SAFE}"


def given_back(web: list[str], candidate: list[str]) -> str:
    """`web` gets everything again; the candidate, if there is one, stands by."""
    servers = [f"{address}:{PORT} {LEFT_OUT}" for address in web]
    servers.append(f"web:{PORT} resolve {LEFT_OUT}")
    servers += [f"{address}:{PORT} {LEFT_OUT} backup" for address in candidate]
    return f"{_HEAD}{_upstream('service', servers)}{_MAP}{_SAFE}"


class Nginx:
    """The proxy of the running stack."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        running = [one for one in engine.containers("nginx") if one.status == "running"]
        if not running:
            raise Problem("nginx is not running: start the stack first (./scripts/setup.sh)")
        self.container = running[0]
        self._replaced: set[str] = set()

    def addresses(self, replicas: list[Container]) -> list[str]:
        """The replicas' addresses on the network that they share with nginx."""
        networks = self.container.addresses
        found = [
            one.addresses[name] for one in replicas for name in one.addresses if name in networks
        ]
        if len(found) != len(replicas):
            raise Problem(f"nginx shares no network with {replicas[0].name}")
        return found

    def direct(self, configuration: str) -> None:
        """Put a configuration into force; on refusal by nginx the one before stays."""
        self._replaced |= self._workers()
        self._execute(["sh", "-c", REPLACE, "sh", FOLDER], configuration)

    def current(self) -> str:
        return self._execute(["cat", f"{FOLDER}/traffic.conf"])

    def wait_for_old_workers(self) -> None:
        """Wait until no nginx worker follows a configuration before the current one.

        They end when their clients' connections do: at once where a connection is in use, after
        keepalive_min_timeout (15 s) where it is idle. After that nothing is sent to where only
        the configurations before pointed.
        """
        wait_until(
            lambda: not self._replaced & self._workers(),
            seconds=OLD_WORKERS_SECONDS,
            why="nginx's old workers end",
        )
        self._replaced.clear()

    def _workers(self) -> set[str]:
        lines = self._engine.docker("top", self.container.id, "-eo", "pid,args").splitlines()
        return {line.split()[0] for line in lines if "nginx: worker process" in line}

    def _execute(self, command: list[str], given: str | None = None) -> str:
        interactive = [] if given is None else ["--interactive"]
        return self._engine.docker("exec", *interactive, self.container.id, *command, given=given)


def _upstream(name: str, servers: list[str]) -> str:
    lines = "".join(f"    server {server};\n" for server in servers)
    return (
        f"upstream {name} {{\n    zone {name} 256k;\n{lines}"
        "    include /etc/nginx/includes/upstream.conf;\n}\n"
    )


_HEAD = "# Written by scripts/deploy.sh, for as long as it runs.\n"
_MAP = "map $request_method $pool { default service; }\n"
_SAFE = "proxy_next_upstream error timeout;\n"
_RETRIES = "proxy_next_upstream error timeout http_500 http_502 http_503 http_504;\n"
