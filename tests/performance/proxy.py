"""nginx before the server under measurement: the service's own files, or a peer's small one."""

import os
import re
import string
from pathlib import Path

from scripts.lib import nginx_dump
from tests.performance.process import Server
from tests.support.processes import free_port

PEERS = Path(__file__).parent / "peers"

# Raised so that no limit is measured; other settings have docker-compose.yml's default.
UNLIMITED = {
    "CLIENT_REQUESTS_PER_SECOND": "1000000",
    "CLIENT_BURST": "100000",
    "CLIENT_CONNECTIONS": "10000",
}

# Changes that let the files run outside their container and on an older nginx: pattern, replacement
# ({folder}, {port} and {upstream} are filled in), reason.
SUBSTITUTIONS = (
    (r"/var/bodies\b", r"{folder}/tmp/bodies", "paths: a folder in memory"),
    (r"(?<=[\s:])/tmp/", r"{folder}/tmp/", "paths: a folder in memory"),
    (r"/dev/std(?:out|err)\b", r"{folder}/nginx.log", "logs: a file in memory"),
    (r"syslog:server=\S+", r"{folder}/syslog.log", "the exporter's log: a file in memory"),
    (r"server web:8000 resolve\b", r"server {upstream}", "one local replica; 1.22 lacks resolve"),
    (r"listen 8080\b", r"listen 127.0.0.1:{port}", "the port: a free one"),
    (r"\$host\$is_request_port\$request_port", "$http_host", "the port in Host: 1.22 lacks it"),
    (r"(?ms)^upstream web_next \{{.*?^\}}$", "", "no candidate"),
    (r"(?m)^    server web-next:8000 .*;$", "", "no candidate"),
    (r"(?m)^(?:load_module|js_\w+) .*;$", "", "no njs: it runs only during a deploy"),
    (r"\$decided\b", "web", "no njs: it runs only during a deploy"),
    (r"(?m)^\s*keepalive_min_timeout .*;$", "", "keepalive_min_timeout: 1.22 lacks it"),
    (r"(?ms)^    server \{{\n\s+listen 8443.*?^    \}}$", "", "the TLS server: not measured"),
    (
        r"(?m)^\s*include \S+/(?:tls|internal)\.conf;$",
        "",
        "internal listeners: not measured",
    ),
)


def service_nginx(folder: Path, upstream: int, cores: frozenset[int]) -> Server:
    """nginx with the files of docker/nginx, in front of the service on port `upstream`."""
    port = free_port()
    values = nginx_dump.defaults() | UNLIMITED
    filled = {"folder": str(folder), "port": str(port), "upstream": f"127.0.0.1:{upstream}"}
    (folder / "tmp").mkdir(parents=True)
    for name, content in nginx_dump.nginx_settings.site(nginx_dump.SOURCE, values).items():
        text = content.decode()
        for pattern, replacement, _ in SUBSTITUTIONS:
            text = re.sub(pattern.format(**filled), replacement.format(**filled), text)
        path = folder / "nginx" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return _nginx(folder, folder / "nginx" / "nginx.conf", port, cores)


def peer_nginx(kind: str, folder: Path, cores: frozenset[int], upstream: int) -> Server:
    """nginx with `peers/nginx-<kind>.conf`."""
    port = free_port()
    values = {"FOLDER": str(folder), "PORT": str(port), "UPSTREAM_PORT": str(upstream)}
    template = string.Template((PEERS / f"nginx-{kind}.conf").read_text(encoding="utf-8"))
    path = folder / "nginx.conf"
    path.write_text(template.safe_substitute(values), encoding="utf-8")
    return _nginx(folder, path, port, cores)


def _nginx(folder: Path, configuration: Path, port: int, cores: frozenset[int]) -> Server:
    directives = "daemon off;"
    if os.geteuid() == 0:
        directives += " user root;"  # else its workers could not write into our folder
    command = ["nginx", "-p", str(folder), "-c", str(configuration), "-g", directives]
    return Server("nginx", command, port=port, folder=folder, cores=cores)
