"""The one-shot service `init`: prepares secrets, certificate and volumes of a fresh clone.

Runs as root of a container without network, before all other services:

1. Settings that nginx would refuse, or the memory could not hold, are refused here, before
   anything is replaced.
2. Each missing file in infrastructure/secrets/ gets a random value, infrastructure/certs/ gets a
   development certificate. Files that exist, such as your own, are never overwritten.
3. The volume `secrets` gets one folder for each service, with only that service's secrets.
4. The other volumes get their owners, nginx's settings and the static files.

Prints names, never values. Needs the standard library and the `openssl` command.
"""

import hashlib
import json
import math
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template

import certificate
import files
import nginx_settings

HOST, VOLUMES = Path("/host"), Path("/volumes")

# Random bytes of each; written as hex, which no format has to escape.
GENERATED = {
    "secret_key": 32,
    "api_token": 24,
    "redis_app_password": 32,
    "redis_jobs_password": 32,
    "redis_exporter_password": 32,
    "redis_operator_password": 32,
    "grafana_admin_password": 16,
    "grafana_secret_key": 32,
}
# With docker-compose.observability.yml.
OBSERVABILITY = {
    "elasticsearch_password": 24,
    "elasticsearch_collector_password": 24,
    "elasticsearch_grafana_password": 24,
    "kibana_password": 24,
    "kibana_encryption_key": 32,
}
# Made by hand, if at all (alert_slack_api_url and the like, otel_exporter_otlp_headers), or by
# infrastructure/vault.
OPTIONAL = {
    "alertmanager": "alert_*",
    "web": "otel_*",
    "redis": "vault_redis_password",
    "vault-agent": "vault_*_id",
}

# Numeric users, as docker-compose.yml starts the services.
NGINX, GRAFANA, REDIS, WEB, REDIS_EXPORTER, NOBODY = 101, 472, 999, 10001, 59000, 65534
ROOT, ELASTIC, JAEGER, OPENBAO = 0, 1000, 10001, 100


def main() -> None:
    refuse_unreadable_configuration()
    give_to_owner_of_the_clone()
    compare_env_files()
    site = nginx_settings.site(HOST / "docker/nginx", os.environ)
    refuse_bodies_beyond_memory(os.environ)
    generated = GENERATED | (OBSERVABILITY if os.environ.get("OBSERVABILITY") else {})
    secret = {name: keep_or_make(name, size) for name, size in generated.items()}
    hand_out(secret, certificate.keep_or_make(HOST / "certs"))

    # Root owns a volume at first.
    owners = {"edge": WEB, "alertmanager-config": NOBODY, "bodies": NGINX, "jaeger": JAEGER}
    owners |= {"vault": OPENBAO, "vault-secrets": WEB}
    for volume, user in owners.items():
        if (VOLUMES / volume).exists():
            os.chown(VOLUMES / volume, user, user)
    for name, content in site.items():
        files.write_below(VOLUMES / "nginx", name, content, NGINX)
    files.publish(Path("/srv/app/static"), VOLUMES / "static")


def refuse_unreadable_configuration() -> None:
    """The services run as other users and read the clone's configuration files."""
    for folder in ("docker", "monitoring"):
        for path in (HOST / folder, *(HOST / folder).rglob("*")):
            needed = 0o005 if path.is_dir() else 0o004
            if path.stat().st_mode & needed != needed:
                raise ValueError(
                    f"the containers' users cannot read {path.relative_to(HOST)}: "
                    "chmod -R go+rX docker monitoring"
                )


def refuse_bodies_beyond_memory(environ: Mapping[str, str]) -> None:
    """Each worker reads one body of the largest size at a time: read, it takes 30 times as much."""
    number, unit = re.findall(r"[0-9.]+|[a-z]", environ["WEB_MEMORY"].lower() + "b")[:2]
    memory = float(number) * 1024 ** "bkmg".index(unit)
    fixed = environ["WEB_CONCURRENCY"].lstrip("0")  # the service refuses what is no number
    workers = int(fixed) if fixed.isdecimal() else max(2, math.ceil(float(environ["WEB_CPUS"])))
    largest = environ["MAX_CONTENT_LENGTH"]
    needed = 30 * int(largest) * workers
    if 0 < memory < needed:
        raise ValueError(
            f"MAX_CONTENT_LENGTH={largest} needs WEB_MEMORY={needed / 2**20:.0f}M or more,"
            f" 30 times as much for each of {workers} workers; it is {environ['WEB_MEMORY']}"
        )


def compare_env_files() -> None:
    """Compose prefers a .env in the clone's root, perhaps another tool's, to infrastructure/.env.

    Refused at the first start; later only said, because a stack in service must go on.
    """
    if os.environ.get("OTHER_ENV_FILES"):
        return
    known = env_lines("infrastructure/.env.example", "#?")
    own, other = env_lines("infrastructure/.env"), env_lines(".env")
    names = [name for name in other if name in known and other[name] != own.get(name)]
    if not names:
        return
    text = (
        f".env beside compose.yaml sets {', '.join(names)}: move that to infrastructure/.env,"
        " or export COMPOSE_ENV_FILES=infrastructure/.env, or (Compose 2.40 and newer) add the line"
        " COMPOSE_DISABLE_ENV_FILE=1 to it"
    )
    if not (VOLUMES / "secrets" / "web").exists():
        raise ValueError(text)
    print(f"init: {text}")


def env_lines(name: str, before: str = "") -> dict[str, str]:
    """The lines NAME=value of a file of the clone, if it is there."""
    path = HOST / "clone" / name
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return dict(re.findall(rf"^{before}([A-Z][A-Z0-9_]*)=(.*?)\s*$", text, re.MULTILINE))


def give_to_owner_of_the_clone() -> None:
    """The engine makes missing folders as root; then the user who cloned could read no secret."""
    owner = (HOST / "docker").stat()
    made = [HOST / "secrets" / name for name in GENERATED | OBSERVABILITY]
    for path in (HOST / "secrets", HOST / "certs", *made):
        if path.exists() and path.stat().st_uid == 0:
            os.chown(path, owner.st_uid, owner.st_gid)


def keep_or_make(name: str, size: int) -> bytes:
    """This secret; a random one if its file is missing or empty."""
    path = HOST / "secrets" / name
    if path.exists() and (value := path.read_bytes().strip()):
        return value
    value = secrets.token_hex(size).encode()
    files.write_for_owner(path, value + b"\n", 0o600)
    print(f"init: made infrastructure/secrets/{name}")
    return value


def hand_out(secret: dict[str, bytes], tls: bytes) -> None:
    """Give each service its secrets."""
    exporter = {"redis://exporter@redis:6379": secret["redis_exporter_password"].decode()}
    optional = {
        service: {path.name: path.read_bytes() for path in (HOST / "secrets").glob(pattern)}
        for service, pattern in OPTIONAL.items()
    }

    deliver("nginx", NGINX, certificates(tls, VOLUMES / "secrets" / "nginx"))
    web = {"secret_key": "secret_key", "api_tokens": "api_token"}
    web |= {"redis_password": "redis_app_password", "redis_jobs_password": "redis_jobs_password"}
    deliver("web", WEB, {file: secret[name] for file, name in web.items()} | optional["web"])
    acl = {"users.acl": redis_users(secret), "operator_password": secret["redis_operator_password"]}
    deliver("redis", REDIS, acl | configuration("docker/redis", "*.conf") | optional["redis"])
    deliver("vault-agent", WEB, optional["vault-agent"])
    deliver("redis-exporter", REDIS_EXPORTER, {"passwords.json": json.dumps(exporter).encode()})
    grafana = {name: of for name, of in secret.items() if "grafana" in name}
    deliver("grafana", GRAFANA, grafana | configuration("monitoring/grafana", "*.*"))
    deliver("edge-exporter", WEB, configuration("monitoring/edge-exporter", "*.py"))
    deliver("alertmanager", NOBODY, optional["alertmanager"])
    if "elasticsearch_password" in secret:
        hand_out_observability(secret)


def hand_out_observability(secret: dict[str, bytes]) -> None:
    """The secrets of docker-compose.observability.yml."""

    def only(*names: str) -> dict[str, bytes]:
        return {name: secret[name] for name in names}

    settings = Template((HOST / "monitoring/search/kibana.yml").read_text(encoding="utf-8"))
    values = {name: value.decode() for name, value in secret.items()}
    deliver("collector", ROOT, only("elasticsearch_collector_password"))
    deliver("elasticsearch", ELASTIC, only("elasticsearch_password"))
    deliver("kibana", ELASTIC, {"kibana.yml": settings.substitute(values).encode()})
    deliver("search-setup", WEB, only(*OBSERVABILITY) | configuration("monitoring/search", "*.*"))


def deliver(service: str, user: int, content: dict[str, bytes]) -> None:
    """A service's folder in the volume `secrets`."""
    files.deliver(VOLUMES / "secrets" / service, user, content)


def certificates(new: bytes, folder: Path) -> dict[str, bytes]:
    """nginx's certificate under a name of its own, the one before it, and last which to serve."""
    current, name = folder / "current", f"tls-{hashlib.sha256(new).hexdigest()[:16]}.pem"
    before = {folder / current.read_text()} if current.exists() else set()
    found = {path.name: path.read_bytes() for path in before if path.exists()}
    return found | {name: new, "current": name.encode()}


def configuration(folder: str, pattern: str) -> dict[str, bytes]:
    """A file with the checksum of these; docker/health/check.sh restarts a service by it."""
    contents = (path.read_bytes() for path in sorted((HOST / folder).glob(pattern)))
    return {"configuration": hashlib.sha256(b"".join(contents)).hexdigest().encode()}


def redis_users(secret: dict[str, bytes]) -> bytes:
    """Redis' ACL file, which has passwords as SHA-256 digests."""
    template = (HOST / "docker/redis/users.acl").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n|^\n", "", template, flags=re.MULTILINE).replace("\n  ", " ")
    digests = {
        user: hashlib.sha256(secret[f"redis_{user}_password"]).hexdigest()
        for user in ("app", "jobs", "exporter", "operator")
    }
    return Template(lines).substitute(digests).encode()


if __name__ == "__main__":
    try:
        main()
    except ValueError as refused:
        sys.exit(f"init: {refused}")
    except OSError as error:
        sys.exit(f"init: {error.strerror}: {error.filename}")
