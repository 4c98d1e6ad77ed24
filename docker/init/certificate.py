"""nginx's certificate: your own, or one made here for development."""

import subprocess
import tempfile
from pathlib import Path

import files

# Marks certificates made here, which are also renewed here.
ORGANISATION = "DevOps Starter development certificate"
NAMES = "DNS:localhost,DNS:nginx,IP:127.0.0.1,IP:::1"
DAYS = 397  # the longest that browsers accept
RENEW_SECONDS = 30 * 86_400


def keep_or_make(folder: Path) -> bytes:
    """The folder's tls.crt and tls.key in one; made if both are missing, renewed if made here.

    Raises:
        ValueError: one of the two is missing, or they do not match.
    """
    certificate, key = folder / "tls.crt", folder / "tls.key"
    if certificate.exists() != key.exists():
        missing = key if certificate.exists() else certificate
        raise ValueError(f"infrastructure/certs/{missing.name} is missing")
    if not certificate.exists() or _due(certificate):
        _make(certificate, key)
        print("init: made a development certificate")
    if _openssl("x509", "-in", certificate, "-noout", "-pubkey") != _openssl(
        "pkey", "-in", key, "-pubout"
    ):
        raise ValueError("infrastructure/certs/tls.key is not the key of tls.crt")
    return certificate.read_bytes() + b"\n" + key.read_bytes()


def _due(certificate: Path) -> bool:
    """Whether this is a certificate made here that ends soon."""
    if ORGANISATION not in _openssl("x509", "-in", certificate, "-noout", "-subject"):
        return False
    ends = ("-noout", "-checkend", str(RENEW_SECONDS))
    done = subprocess.run(
        ["openssl", "x509", "-in", str(certificate), *ends], check=False, capture_output=True
    )
    return done.returncode != 0


def _make(certificate: Path, key: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        new = Path(name)
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", str(DAYS), "-subj", f"/O={ORGANISATION}/CN=localhost"),
            *("-addext", f"subjectAltName={NAMES}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-addext", "extendedKeyUsage=serverAuth"),
            *("-keyout", new / "key", "-out", new / "certificate"),
        )
        files.write_for_owner(key, (new / "key").read_bytes(), 0o600)
        files.write_for_owner(certificate, (new / "certificate").read_bytes(), 0o644)


def _openssl(*arguments: str | Path) -> str:
    command: list[str | Path] = ["openssl", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"openssl {arguments[0]}: {done.stderr.strip().splitlines()[0]}")
    return done.stdout
