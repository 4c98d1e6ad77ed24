"""Sets up OpenBao or HashiCorp Vault for this service, rotates and revokes. Safe to run again.

    BAO_ADDR=http://127.0.0.1:8200 BAO_TOKEN=… python infrastructure/vault/vault.py COMMAND

setup     mounts, policy, roles, the first secrets; what is there stays
login     a new secret ID for the agent, valid for a day
rotate    a new API token beside the former one, a new SECRET_KEY, and `login`
revoke    token: all API tokens end, there is a new one; redis: all users end but the newest, or the
          newest AGENTS

Prints names, never values. Needs the standard library only. Settings: REDIS_HOST, REDIS_PORT,
TLS_HOSTS (names that nginx' certificate may have), SECRETS (folder of the agent's files), and for
Kubernetes KUBERNETES_HOST, KUBERNETES_NAMESPACE, KUBERNETES_SERVICE_ACCOUNT; from outside of the
cluster KUBERNETES_CA_FILE and KUBERNETES_REVIEWER_FILE (a token that may create TokenReviews).
"""

import json
import os
import re
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NAME = "devops-starter"
KV = f"kv/data/{NAME}"
LONG = {"max_lease_ttl": "87600h"}  # of the CA; what is in use ends sooner
ENGINES: dict[str, dict[str, Any]] = {
    "kv": {"type": "kv", "options": {"version": "2"}},
    "database": {"type": "database"},
    "pki": {"type": "pki", "config": LONG},
}
# Each of them ends within a day, and users of Redis within an hour.
LOGIN = {"token_policies": [NAME], "token_period": "1h", "token_type": "service"}


class VaultError(Exception):
    """It refused a request or does not answer. The text holds no secret."""


def call(method: str, path: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
    """Send a request of the HTTP API; `{}` for an answer without content or for 404."""
    address = os.environ.get("BAO_ADDR") or os.environ.get("VAULT_ADDR", "http://127.0.0.1:8200")
    token = os.environ.get("BAO_TOKEN") or os.environ.get("VAULT_TOKEN", "")
    headers = {"X-Vault-Token": token, "Content-Type": "application/json"}
    body = None if payload is None else json.dumps(payload).encode()
    request = urllib.request.Request(f"{address}/v1/{path}", body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # nosec B310
            return json.loads(answer.read() or b"{}")  # type: ignore[no-any-return]
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return {}
        errors = json.loads(error.read() or b"{}").get("errors") or [error.reason]
        raise VaultError(f"{method} {path}: {error.code} {errors[0]}".splitlines()[0]) from None
    except OSError as error:
        raise VaultError(f"{address} does not answer: {getattr(error, 'reason', error)}") from None


def setup() -> None:
    """Everything from code; secrets that exist are kept."""
    for kind, wanted in (("mounts", ENGINES), ("auth", auth_methods())):
        present = call("GET", f"sys/{kind}")
        for path, engine in wanted.items():
            if f"{path}/" not in present.get("data", present):
                call("POST", f"sys/{kind}/{path}", engine)
    policy = (HERE / "policy.hcl").read_text(encoding="utf-8")
    call("PUT", f"sys/policies/acl/{NAME}", {"policy": policy})
    call("POST", f"kv/metadata/{NAME}", {"max_versions": 2})
    if not call("GET", KV).get("data", {}).get("data"):
        put(new_secret(), [], new_secret())
    redis()
    certificates()
    call("POST", f"auth/approle/role/{NAME}", LOGIN | {"secret_id_ttl": "24h"})
    write_file("vault_role_id", call("GET", f"auth/approle/role/{NAME}/role-id")["data"]["role_id"])
    if host := os.environ.get("KUBERNETES_HOST"):
        kubernetes(host)
    login()


def auth_methods() -> dict[str, dict[str, Any]]:
    kubernetes_too = {"kubernetes"} if os.environ.get("KUBERNETES_HOST") else set()
    return {name: {"type": name} for name in {"approle"} | kubernetes_too}


def redis() -> None:
    """Users of Redis with the rights of `app` in docker/redis/users.acl, as a JSON array of rules.

    Plain text would be accepted here and fail at the first user.
    """
    text = (HERE.parents[1] / "docker/redis/users.acl").read_text(encoding="utf-8")
    found = re.search(r"^user app on #\$app (.*(?:\n  .*)*)", text, re.MULTILINE)
    if not found:
        raise VaultError("docker/redis/users.acl has no user app")
    connection = {
        "plugin_name": "redis-database-plugin",
        "host": os.environ.get("REDIS_HOST", "redis"),
        "port": int(os.environ.get("REDIS_PORT", "6379")),
        "username": "vault",
        "password": file_or_new("vault_redis_password"),
        "allowed_roles": NAME,
        "verify_connection": False,  # Redis may start later
    }
    call("POST", "database/config/redis", connection)
    role = {"db_name": "redis", "default_ttl": "30m", "max_ttl": "1h"}
    role["creation_statements"] = json.dumps(found[1].split())
    call("POST", f"database/roles/{NAME}", role)


def certificates() -> None:
    """A CA of its own, unless there is one, and certificates of a day."""
    if not call("GET", "pki/issuers?list=true"):
        call("POST", "pki/root/generate/internal", {"common_name": f"{NAME} CA", "ttl": "87600h"})
    hosts = os.environ.get("TLS_HOSTS", "localhost,redis")
    role = {"allowed_domains": hosts, "allow_bare_domains": True, "allow_localhost": False}
    call("POST", f"pki/roles/{NAME}", role | {"key_type": "ec", "key_bits": 256, "max_ttl": "24h"})


def kubernetes(host: str) -> None:
    """Pods log in with their own token, which the API server checks (TokenReview)."""
    config: dict[str, Any] = {"kubernetes_host": host}
    # A server outside of the cluster has no token and CA of its own there.
    for setting, variable in (("kubernetes_ca_cert", "CA"), ("token_reviewer_jwt", "REVIEWER")):
        if path := os.environ.get(f"KUBERNETES_{variable}_FILE"):
            config[setting] = Path(path).read_text(encoding="utf-8").strip()
    config["disable_local_ca_jwt"] = "token_reviewer_jwt" in config
    call("POST", "auth/kubernetes/config", config)
    account = os.environ.get("KUBERNETES_SERVICE_ACCOUNT", "default")
    role = {
        "bound_service_account_names": account,
        "bound_service_account_namespaces": os.environ.get("KUBERNETES_NAMESPACE", "default"),
        "audience": "vault",
    }
    call("POST", f"auth/kubernetes/role/{NAME}", LOGIN | role)


def login() -> None:
    """A new way in for the agent."""
    answer = call("POST", f"auth/approle/role/{NAME}/secret-id", {})
    write_file("vault_secret_id", answer["data"]["secret_id"])


def rotate() -> None:
    """A new token and key. The former token is accepted until the next rotation."""
    former = call("GET", KV)["data"]["data"]["api_tokens"].splitlines()[:1]
    put(new_secret(), former, new_secret())
    login()


def revoke(what: str) -> None:
    if what == "token":
        put(new_secret(), [], call("GET", KV)["data"]["data"]["secret_key"])
        return
    found = call("GET", f"sys/leases/lookup/database/creds/{NAME}?list=true")
    leases = [f"database/creds/{NAME}/{key}" for key in found.get("data", {}).get("keys", [])]
    issued = {
        each: call("PUT", "sys/leases/lookup", {"lease_id": each})["data"]["issue_time"]
        for each in leases
    }
    old = sorted(leases, key=lambda each: issued[each])[: -int(os.environ.get("AGENTS", "1"))]
    for lease in old:
        call("PUT", "sys/leases/revoke", {"lease_id": lease, "sync": True})
    print(f"vault: {len(old)} users of Redis are revoked")


def put(api_token: str, former: list[str], key: str) -> None:
    values = {
        "api_token": api_token,
        "api_tokens": "\n".join([api_token, *former]),
        "secret_key": key,
    }
    call("POST", KV, {"data": values})
    print(f"vault: {KV} has a new version")


def new_secret() -> str:
    return secrets.token_hex(32)


def file_or_new(name: str) -> str:
    path = folder() / name
    if not path.exists():
        write_file(name, new_secret())
    return path.read_text(encoding="utf-8").strip()


def write_file(name: str, value: str) -> None:
    """For init, which gives it to the service that needs it."""
    new = folder() / f".{name}.new"
    new.unlink(missing_ok=True)
    new.touch(0o600)
    new.write_text(value, encoding="utf-8")
    new.rename(folder() / name)
    print(f"vault: made {name}")


def folder() -> Path:
    found = Path(os.environ.get("SECRETS", HERE.parent / "secrets"))
    found.mkdir(parents=True, exist_ok=True)
    return found


COMMANDS = {"setup": setup, "login": login, "rotate": rotate, "revoke": revoke}

if __name__ == "__main__":
    given = sys.argv[1:]
    if given[:1] not in ([name] for name in COMMANDS) or (given[0] == "revoke") != (
        len(given) == 2
    ):
        sys.exit(__doc__ if "--help" in given else f"{__doc__}\nunknown command: {' '.join(given)}")
    try:
        COMMANDS[given[0]](*given[1:])  # type: ignore[operator]
    except (VaultError, OSError) as failure:
        sys.exit(f"vault: {failure}")
