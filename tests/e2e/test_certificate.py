"""scripts/renew-certificate.sh: a new certificate is served at once, and a bad one never."""

import hashlib
import os
import signal
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Stack, docker
from tests.support.paths import ROOT
from tests.support.processes import run, wait_until


def make(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    options = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    files = ("-keyout", str(key), "-out", str(certificate))
    assert run(["openssl", "req", "-x509", *options, *names, *files]).returncode == 0
    return certificate, key


def fingerprint(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def served(stack: Stack) -> str:
    address = ("127.0.0.1", int(stack.settings["HTTPS_PORT"]))
    return fingerprint(ssl.get_server_certificate(address, timeout=10))


SCRIPT = ROOT / "scripts/renew-certificate.sh"


def environment(stack: Stack) -> dict[str, str]:
    return stack.environment | {"CERTS": str(stack.folder / "certs")}


def renew(stack: Stack, *arguments: Path) -> tuple[int, str]:
    done = run([SCRIPT, *arguments], env=environment(stack), seconds=60)
    return done.returncode, done.stdout + done.stderr


def test_a_new_certificate_is_served_at_once_and_open_connections_go_on(
    stack: Stack, tmp_path: Path
) -> None:
    first = (stack.folder / "certs" / "tls.crt").read_text()
    trust = ssl.create_default_context(cadata=first)
    # By default httpx closes a connection that was idle for five seconds.
    limits = httpx.Limits(keepalive_expiry=None)
    with httpx.Client(http2=True, verify=trust, timeout=10, limits=limits) as client:
        client.get(f"{stack.https}/health")
        for name in ("one", "two"):
            certificate, key = make(tmp_path, name)

            status, output = renew(stack, certificate, key)

            assert status == 0, output
            assert {served(stack) for _ in range(8)} == {fingerprint(certificate.read_text())}
        # A new connection would not trust the new certificate.
        assert client.get(f"{stack.https}/health").http_version == "HTTP/2"


@pytest.mark.parametrize("fault", ["another key", "half a file"])
def test_a_bad_certificate_is_refused_and_the_one_before_stays(
    stack: Stack, tmp_path: Path, fault: str
) -> None:
    before = served(stack)
    certificate, key = make(tmp_path, "new")
    if fault == "another key":
        key = make(tmp_path, "other")[1]
    else:
        certificate.write_text(certificate.read_text()[:300])

    status, output = renew(stack, certificate, key)

    assert status == 1
    assert output.splitlines()[-1].startswith("error: ") and "Traceback" not in output
    assert served(stack) == before
    assert fingerprint((stack.folder / "certs" / "tls.crt").read_text()) == before


def test_the_one_before_stays_after_ctrl_c(stack: Stack, tmp_path: Path) -> None:
    files = [stack.folder / "certs" / name for name in ("tls.crt", "tls.key")]
    before = [file.read_text() for file in files]
    command = [SCRIPT, *make(tmp_path, "new")]
    with subprocess.Popen(command, env=environment(stack), start_new_session=True) as process:
        handing_out = ("ps", "--all", "--quiet", "--filter", f"name=init-run-{process.pid}-")
        wait_until(lambda: docker(*handing_out), why="it is handed out")
        os.killpg(process.pid, signal.SIGINT)

    assert process.returncode != 0
    assert [file.read_text() for file in files] == before
    assert served(stack) == fingerprint(before[0])
    assert not docker(*handing_out)


@pytest.mark.slow
def test_without_a_usable_certificate_nginx_is_unhealthy(stack: Stack) -> None:
    """Over HTTP it would go on answering."""
    folder = "/secrets/nginx"
    volume = f"{stack.project}_secrets:/secrets"
    image = stack.settings["WEB_IMAGE"]
    tool = ("run", "--rm", "--user", "0", "--volume", volume, "--entrypoint", "sh", image, "-c")
    docker(*tool, f"cp -p {folder}/current {folder}/kept && printf missing.pem >{folder}/current")
    try:
        wait_until(lambda: health(stack) == "unhealthy", seconds=60, why="nginx is unhealthy")
    finally:
        docker(*tool, f"mv {folder}/kept {folder}/current")
    wait_until(lambda: health(stack) == "healthy", seconds=30, why="nginx is healthy again")


def health(stack: Stack) -> str:
    state: str = stack.inspect("nginx")["State"]["Health"]["Status"]
    return state
