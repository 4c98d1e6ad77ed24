"""Secrets: made once, strong, readable only by the services that need them."""

import stat

from tests.e2e.stack import Stack, docker, inspect

# Every other user that a container runs as.
USERS = {"web": 10001, "nginx": 101, "redis": 999, "redis-exporter": 59000, "grafana": 472}


def test_the_first_start_makes_strong_secrets_for_the_owner_alone(stack: Stack) -> None:
    folder = stack.folder / "secrets"
    owner = folder.stat()

    files = list(folder.iterdir())

    assert {"api_token", "secret_key", "grafana_admin_password"} <= {file.name for file in files}
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert (file.stat().st_uid, file.stat().st_gid) == (owner.st_uid, owner.st_gid)
        assert len(file.read_text().strip()) >= 32
    assert len(set(stack.secrets().values())) == len(files)
    assert stat.S_IMODE((stack.folder / "certs" / "tls.key").stat().st_mode) == 0o600


def test_a_second_start_changes_no_secret(stack: Stack) -> None:
    before = stack.secrets()
    certificate = (stack.folder / "certs" / "tls.crt").read_bytes()

    stack.compose("run", "--rm", "--no-deps", "init")

    assert stack.secrets() == before
    assert (stack.folder / "certs" / "tls.crt").read_bytes() == certificate


def test_each_container_has_only_its_own_secrets_readable_by_its_user(stack: Stack) -> None:
    own = {
        "web": {"api_tokens", "redis_password", "redis_jobs_password", "secret_key"},
        "nginx": {"current", _served_name(stack)},
        "redis": {"configuration", "operator_password", "users.acl"},
    }
    for service, expected in own.items():
        lines = stack.run_in(service, "stat", "-c", "%n %a %u", "-L", *_paths(stack, service))
        found = {line.split()[0].rsplit("/", 1)[1]: line.split()[1:] for line in lines.splitlines()}
        assert set(found) == expected
        assert all(one == ["400", str(USERS[service])] for one in found.values())


def test_no_secret_shows_in_inspect_logs_or_image(stack: Stack) -> None:
    image = stack.settings["WEB_IMAGE"]
    places = {
        "inspect": docker("inspect", *stack.containers()),
        "logs": stack.compose("logs", "--no-color").stdout,
        "history": docker("history", "--no-trunc", image) + docker("inspect", image),
        "processes": "".join(docker("top", one) for one in _running(stack)),
    }

    for place, text in places.items():
        leaked = [name for name, value in stack.secrets().items() if value in text]
        assert not leaked, f"in {place}"


def test_no_file_of_the_image_holds_a_secret(stack: Stack) -> None:
    patterns = [part for value in stack.secrets().values() for part in ("-e", value)]
    image = stack.settings["WEB_IMAGE"]

    found = docker(
        *("run", "--rm", "--user", "0:0", "--entrypoint", "grep", image),
        *("-rlF", *patterns, "/srv", "/opt", "/etc", "/root", "/home"),
        check=False,
    )

    assert found == ""


def _paths(stack: Stack, service: str) -> list[str]:
    names = stack.run_in(service, "ls", "-A", "/run/secrets").split()
    return [f"/run/secrets/{name}" for name in names]


def _running(stack: Stack) -> list[str]:
    return [one for one in stack.containers() if inspect(one)["State"]["Running"]]


def _served_name(stack: Stack) -> str:
    return stack.run_in("nginx", "cat", "/run/secrets/current")
