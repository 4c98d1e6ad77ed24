"""How far pip is, for who watches."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.lib import pip_progress


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *arguments])


def test_it_says_how_many_packages_were_found_and_when_they_are_being_installed(
    tmp_path: Path,
) -> None:
    log = tmp_path / "pip.log"
    log.write_text("Collecting flask\n  Using cached\nCollecting redis\n")
    assert pip_progress.stage(log) == "downloading: 2 packages"

    log.write_text(log.read_text() + "Installing collected packages: flask, redis\n")
    assert pip_progress.stage(log) == "installing"


def test_it_returns_pips_status_and_says_nothing_where_nobody_watches(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pip.log").touch()
    process = start("-c", "import sys; sys.exit(7)")

    assert pip_progress.wait(process, tmp_path / "pip.log") == 7
    assert capfd.readouterr() == ("", "")


def test_whatever_interrupts_the_waiting_ends_pip_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_log: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(pip_progress, "stage", interrupt)
    process = start("-c", "import time; time.sleep(60)")

    with pytest.raises(KeyboardInterrupt):
        pip_progress.wait(process, tmp_path / "pip.log")

    assert process.poll() is not None
