"""The stack with OpenBao: all secrets change under load, none is readable, it may be sealed."""

import hashlib
import json
import os
import ssl
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.bao import program
from tests.e2e.stack import FILES, INFRASTRUCTURE, Stack, docker, new_stack, started
from tests.support.load import Load, Request, statuses
from tests.support.processes import free_port, run, wait_until

pytestmark = pytest.mark.slow
ITEMS = "/api/v1/items"
REQUESTS = 20_000
# Stands in for OpenBao's image: the program, on an image that is here anyway.
OVERLAY = """
services:
  openbao: &bao
    image: redis:8.0-alpine
    volumes: ["{bao}:/usr/local/bin/bao:ro"]
  vault-agent: *bao
"""


class Vault:
    """A stack with OpenBao, and what an operator does."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.url = f"http://127.0.0.1:{stack.settings['BAO_PORT']}/v1/"
        self.token = ""
        self.keys: list[str] = []

    def call(self, method: str, path: str, **payload: Any) -> dict[str, Any]:
        headers = {"X-Vault-Token": self.token}
        answer = requests.request(
            method, self.url + path, json=payload, headers=headers, timeout=20
        )
        answer.raise_for_status()
        return dict(answer.json()) if answer.content else {}

    def run(self, *arguments: str) -> str:
        env = os.environ | {"BAO_ADDR": self.url[:-4], "BAO_TOKEN": self.token}
        env |= {"SECRETS": str(self.stack.folder / "secrets")}
        done = run([sys.executable, INFRASTRUCTURE / "vault/vault.py", *arguments], env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def start(self) -> None:
        self.stack.compose("up", "--detach", "--no-build", "openbao")
        wait_until(self.is_up, seconds=60, why="OpenBao answers")
        made = self.call("PUT", "sys/init", secret_shares=1, secret_threshold=1)
        self.keys, self.token = made["keys"], made["root_token"]
        self.unseal()
        wait_until(self.is_active, seconds=30, why="it is active")
        self.run("setup")
        self.run("setup")

    def unseal(self) -> None:
        self.call("PUT", "sys/unseal", key=self.keys[0])

    def is_up(self) -> bool:
        try:
            return requests.get(self.url + "sys/seal-status", timeout=2).ok
        except requests.ConnectionError:
            return False

    def is_active(self) -> bool:
        return requests.get(self.url + "sys/health", timeout=2).status_code == 200

    def secrets(self) -> dict[str, str]:
        """What the service uses now."""
        folder = "/run/vault/web"
        names = ("api_tokens", "secret_key", "redis_password")
        found = {
            each: self.stack.run_in("vault-agent", "cat", f"{folder}/{each}") for each in names
        }
        return found | self.stack.secrets()

    @property
    def api_token(self) -> str:
        found = self.call("GET", "kv/data/devops-starter")
        return str(found["data"]["data"]["api_token"])

    def post(self, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(
            self.stack.http + ITEMS, json={"name": "Tea"}, headers=headers, timeout=20
        ).status_code

    def answers(self, token: str) -> set[int]:
        """Of both replicas and all their workers."""
        return {self.post(token) for _ in range(30)}

    def certificate(self) -> str:
        pem = ssl.get_server_certificate(
            ("127.0.0.1", int(self.stack.settings["HTTPS_PORT"])), timeout=10
        )
        return hashlib.sha256(pem.encode()).hexdigest()

    def user(self) -> str:
        return self.stack.run_in("vault-agent", "cat", "/run/vault/web/redis_username")

    def change_all(self) -> str:
        """New token, key, user of Redis and certificate; returns the token once it is accepted."""
        before, old_user = self.certificate(), self.user()
        self.run("rotate")
        self.stack.compose("run", "--rm", "--no-deps", "init")
        self.stack.run_in("vault-agent", "rm", "/run/vault/nginx/new.pem")
        self.stack.compose("restart", "vault-agent")
        token = self.api_token
        wait_until(lambda: self.answers(token) == {201}, seconds=20, why="the token is accepted")
        wait_until(lambda: self.user() != old_user, seconds=20, why="there is a new user")
        wait_until(lambda: self.certificate() != before, seconds=20, why="it is served")
        return token


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    folder = tmp_path_factory.mktemp("vault")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    (folder / "overlay.yml").write_text(
        OVERLAY.format(bao=program(folder / "bao")), encoding="utf-8"
    )
    stack = new_stack(folder, "vault", BAO_PORT=str(free_port()))
    stack.files = (FILES[0], INFRASTRUCTURE / "docker-compose.vault.yml", FILES[1])
    stack.files += (folder / "overlay.yml",)
    stack.services = ["web", "nginx", "edge-exporter", "redis", "openbao", "vault-agent"]
    running = Vault(stack)
    if "WEB_IMAGE" not in os.environ:
        stack.compose("build", "web", seconds=600)
    try:
        running.start()
        with started(stack):
            yield running
    finally:
        stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)


def test_all_secrets_change_three_times_under_load_and_no_request_is_lost(vault: Vault) -> None:
    token = vault.api_token

    def requests_() -> Iterator[Request]:
        while True:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            yield Request("POST", ITEMS, b'{"name": "Tea"}', headers)
            yield Request("PUT", "/api/v1/cache/a", b"1", headers)
            for path in (ITEMS, "/api/v1/cache/a", "/api/v1/session", "/api/v1/info", "/health"):
                yield Request("GET", path)

    seen: set[tuple[str, ...]] = set()
    # Below nginx' limit of a client.
    load = Load(vault.stack.http, requests_(), connections=8, total=REQUESTS, rate=200, seconds=900)
    with load:
        for _ in range(3):
            token = vault.change_all()
            time.sleep(10)  # the promise: every worker of every replica has them by now
            assert "1 users of Redis are revoked" in vault.run("revoke", "redis")
            seen.add((vault.certificate(), vault.user(), token))
        wait_until(
            lambda: len(load.answers) == REQUESTS, seconds=600, interval=1, why="all are sent"
        )
        answers = load.stop()

    assert len(seen) == 3
    print(f"\n{len(answers)} requests, {statuses(answers)}")
    assert set(statuses(answers)) == {200, 201}


def test_a_leaked_token_is_revoked_by_one_command_and_ends_within_ten_seconds(
    vault: Vault,
) -> None:
    leaked = vault.api_token
    assert vault.answers(leaked) == {201}
    started_at = time.monotonic()
    vault.run("revoke", "token")
    wait_until(lambda: vault.answers(leaked) == {401}, seconds=10, why="it ends")
    print(f"\nthe leaked token ended after {time.monotonic() - started_at:.1f} s")
    assert vault.answers(vault.api_token) == {201}


def test_replicas_go_on_while_it_is_sealed_or_gone_and_a_start_says_what_is_missing(
    vault: Vault,
) -> None:
    token = vault.api_token
    vault.call("PUT", "sys/seal")
    assert vault.answers(token) == {201}
    vault.stack.compose("stop", "openbao")
    assert vault.answers(token) == {201}
    vault.stack.compose("restart", "web")
    wait_until(lambda: vault.answers(token) == {201}, seconds=60, why="restarted replicas serve")

    vault.stack.compose("start", "openbao")
    wait_until(vault.is_up, seconds=60, why="it answers")
    done = vault.stack.compose("up", "--detach", "--wait", "--no-build", "web", check=False)
    assert done.returncode and "openbao" in done.stderr.splitlines()[-1]
    vault.unseal()
    wait_until(
        lambda: vault.stack.inspect("openbao")["State"]["Health"]["Status"] == "healthy",
        seconds=30,
        why="it is healthy",
    )
    vault.stack.up()


def test_a_restarted_redis_still_knows_the_user(vault: Vault) -> None:
    time.sleep(11)  # the health check has saved it
    vault.stack.compose("restart", "redis")
    token = vault.api_token
    wait_until(lambda: vault.answers(token) == {201}, seconds=60, why="writes succeed")


def test_no_secret_is_readable_where_operators_look(vault: Vault) -> None:
    stack = vault.stack
    names = stack.containers()
    places = {
        "inspect": docker("inspect", *names),
        "logs": stack.compose("logs", "--no-color").stdout,
        "processes": "".join(docker("top", each) for each in names if "init" not in each),
        "environ": "".join(
            docker("exec", each, "sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null", check=False)
            for each in names
            if "init" not in each
        ),
    }
    secrets = vault.secrets() | {"root": vault.token, "unseal": vault.keys[0]}
    assert len(places["environ"]) > 1000
    for place, text in places.items():
        leaked = [
            name
            for name, value in secrets.items()
            if name != "vault_role_id" and any(line in text for line in value.split())
        ]
        assert not leaked, place


def test_every_secret_in_use_ends_within_a_day_and_users_within_an_hour(vault: Vault) -> None:
    role = vault.call("GET", "database/roles/devops-starter")["data"]
    found = vault.call("GET", "auth/approle/role/devops-starter")["data"]
    leases = "sys/leases/lookup/database/creds/devops-starter"
    lease = vault.call("GET", f"{leases}?list=true")["data"]["keys"][-1]
    path = f"database/creds/devops-starter/{lease}"
    ends = vault.call("PUT", "sys/leases/lookup", lease_id=path)["data"]["ttl"]
    pem = vault.stack.run_in("nginx", "sh", "-c", "cat /run/secrets/$(cat /run/secrets/current)")
    (vault.stack.folder / "served.pem").write_text(pem, encoding="utf-8")
    day = ("openssl", "x509", "-noout", "-checkend", "86400", "-in")
    assert run([*day, str(vault.stack.folder / "served.pem")]).returncode == 1
    assert 0 < ends <= 3600 and role["max_ttl"] == 3600
    assert (found["secret_id_ttl"], found["token_period"]) == (86400, 3600)
    assert json.dumps(role["creation_statements"]).count("~ds:*") == 1
