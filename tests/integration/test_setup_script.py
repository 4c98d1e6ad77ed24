"""scripts/setup.sh --local, in a clone whose path has a space in it."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.clone import Clone, assert_refused
from tests.support.processes import Programs, free_port, output_of, wait_until

OFFLINE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",  # where nothing listens
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_CONFIG_FILE": "/dev/null",
    "PIP_NO_CACHE_DIR": "1",
}
# Settings of pip that would install into another place than the environment, or refuse to.
HOSTILE = {
    "PIP_USER": "1",
    "PIP_TARGET": "/nonexistent/target",
    "PIP_PREFIX": "/nonexistent/prefix",
    "PIP_ROOT": "/nonexistent/root",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_CONSTRAINT": "/nonexistent/constraints.txt",
}


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "a clone")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Its environment uses the packages of the one that runs the tests."""
    clone = Clone(tmp_path_factory.mktemp("setup") / "a clone")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", clone.venv], check=True)
    (packages,) = clone.venv.glob("lib/python3*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
    clone.stamp()
    return clone


@pytest.fixture
def port(installed: Clone) -> Iterator[int]:
    """A free port; what a test has started on it is stopped afterwards."""
    yield free_port()
    installed.run("setup.sh", "--local", "--stop")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--local", "--lokal"], "--lokal"),
        (["--local", "--port"], "--port"),
        (["--local", "--port", "65536"], "'65536'"),
        (["--local", "--port="], "''"),
    ],
)
def test_a_bad_option_is_refused_in_one_line(clone: Clone, arguments: list[str], word: str) -> None:
    assert_refused(clone.run("setup.sh", *arguments), word)
    assert clone.leftovers() == []


def test_a_taken_port_is_named_with_another_before_anything_is_installed(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_program:
        taken = other_program.getsockname()[1]
        result = clone.run("setup.sh", "--local", "--port", str(taken))
    assert_refused(result, f"port {taken} is taken", f"--port {taken + 1}")
    assert clone.leftovers() == []


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("[[ $2 == *print* ]] && echo 3.9.2 || exit 1", ("Python 3.11 or newer", "3.9.2")),
        ("[[ $2 == *print* ]] && echo 3.14.1 || [[ $2 == *exit* ]]", ("3.14.1", "python3-venv")),
    ],
)
def test_an_unsuitable_python_is_named_with_the_package_to_install(
    clone: Clone, tmp_path: Path, python: str, words: tuple[str, ...]
) -> None:
    programs = Programs(tmp_path / "bin", "bash env dirname mkdir")
    programs.add("python3", python)
    result = clone.run("setup.sh", "--local", env={"PATH": programs.path})
    assert_refused(result, "install", *words)
    assert clone.leftovers() == []


@pytest.mark.slow
def test_it_is_built_once_over_a_killed_run_whatever_pips_settings(clone: Clone) -> None:
    (clone.venv / "bin").mkdir(parents=True)
    start = ("setup.sh", "--local", "--detach", "--port")
    runs = [clone.popen(*start, str(free_port()), env=HOSTILE) for _ in range(2)]

    output = "".join(run.communicate(timeout=110)[0] for run in runs)

    assert sorted(run.returncode for run in runs) == [0, 1], output
    assert "it already runs here" in output and output.count("Building .venv") == 1
    subprocess.run([clone.venv / "bin" / "gunicorn", "--version"], check=True)
    assert clone.run("setup.sh", "--local", "--stop").returncode == 0


@pytest.mark.slow
def test_without_network_it_says_so_and_nothing_is_left(clone: Clone) -> None:
    result = clone.run("setup.sh", "--local", "--port", str(free_port()), env=OFFLINE)
    assert_refused(result, "could not be installed", "PIP_INDEX_URL")
    assert clone.leftovers() == []


@pytest.mark.slow
def test_where_pip_has_no_settings_uv_installs_what_is_pinned(clone: Clone, tmp_path: Path) -> None:
    programs = Programs(tmp_path / "bin")
    programs.add("uv", 'echo "error: uv $*"; exit 1')
    env = {name: "" for name in os.environ if name.startswith("PIP_")}
    env |= {"PIP_CONFIG_FILE": "/dev/null", "PATH": programs.path}
    result = clone.run("setup.sh", "--local", env=env)
    assert_refused(result, "uv pip install", "--require-hashes --no-deps")


@pytest.mark.slow
def test_an_interrupted_installation_leaves_nothing(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent_index:
        env = OFFLINE | {"PIP_INDEX_URL": f"http://127.0.0.1:{silent_index.getsockname()[1]}/"}
        process = clone.popen("setup.sh", "--local", "--port", str(free_port()), env=env)
        silent_index.settimeout(60)
        connection, _ = silent_index.accept()  # pip is at work

        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        output, _ = process.communicate(timeout=60)
        connection.close()

    assert process.returncode not in (0, None)
    assert "Traceback" not in output
    assert clone.leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize("change", ["requirements", "place"])
def test_a_change_needs_a_new_environment_and_without_network_the_former_one_is_kept(
    installed: Clone, tmp_path: Path, change: str
) -> None:
    clone, pins = installed, installed.folder / "requirements.txt"
    before = pins.read_text()
    if change == "requirements":
        pins.write_text(before + "# changed\n")
    else:
        clone = Clone(installed.folder.rename(tmp_path / "moved"), copy=False)

    result = clone.run("setup.sh", "--local", "--port", str(free_port()), env=OFFLINE)

    left = clone.leftovers()
    clone.folder.rename(installed.folder)
    pins.write_text(before)
    assert_refused(result, "could not be installed")
    assert left == [".venv"]
    subprocess.run([installed.venv / "bin" / "python", "-c", "import gunicorn"], check=True)


def test_the_service_is_started_once_reported_and_stopped(installed: Clone, port: int) -> None:
    def setup(*arguments: str) -> subprocess.CompletedProcess[str]:
        return installed.run("setup.sh", "--local", *arguments, env=OFFLINE)

    started = setup("--detach", "--port", str(port))
    assert started.returncode == 0, started.stderr
    assert "Building" not in started.stderr
    assert f"The service answers on http://127.0.0.1:{port} " in started.stdout
    same = setup("--detach", "--port", str(port))
    assert same.returncode == 0 and "already runs" in same.stdout
    elsewhere = setup("--port", str(free_port()))
    assert_refused(elsewhere, "already runs", f"127.0.0.1:{port} ", "--stop")
    running = setup("--status")
    assert running.returncode == 0 and f"http://127.0.0.1:{port} " in running.stdout
    assert requests.get(f"http://127.0.0.1:{port}/health/live", timeout=5).status_code == 200

    assert setup("--stop").returncode == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/health/live", timeout=5)
    assert setup("--status").returncode == 3


def test_the_three_commands_it_prints_work_and_show_no_token(installed: Clone, port: int) -> None:
    env = {"API_TOKENS": "first-token-of-a-test-run,second-token-of-a-test-run"}
    started = installed.run("setup.sh", "--local", "--detach", "--port", str(port), env=env)

    commands = re.findall(r"^  (curl .*)$", started.stdout, re.MULTILINE)

    assert len(commands) == 3 and "first-token" not in started.stdout
    for command in commands:
        command = command.replace("curl", "curl --silent --show-error --fail", 1)
        answer = subprocess.check_output(["bash", "-c", command], env=env, text=True, timeout=10)
    assert answer == '{"hello":"world"}\n'


def test_ctrl_c_ends_the_service_in_order(installed: Clone, port: int) -> None:
    process = installed.popen("setup.sh", "--local", "--port", str(port))
    assert process.stdout
    while "Ctrl-C stops it." not in (line := process.stdout.readline()):
        assert line, "it ended before it answered"

    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert output.endswith("Stopped.\n") and "Traceback" not in output
    assert installed.run("setup.sh", "--local", "--status").returncode == 3


def test_on_a_terminal_the_log_is_text(installed: Clone, port: int) -> None:
    terminal, output = pty.openpty()
    process = installed.popen("setup.sh", "--local", "--port", str(port), stdout=output)
    os.close(output)
    shown = b""
    while b"Ctrl-C stops it." not in shown:
        shown += os.read(terminal, 65_536)

    os.killpg(process.pid, signal.SIGINT)
    process.wait(30)
    os.close(terminal)

    assert b" INFO    gunicorn.error  " in shown and b"{" not in shown.split(b"The service")[0]


def test_a_killed_service_is_not_taken_for_a_running_one(installed: Clone, port: int) -> None:
    installed.run("setup.sh", "--local", "--detach", "--port", str(port))
    where = installed.run("setup.sh", "--local", "--status").stdout
    master = int(re.findall(r"process (\d+)", where)[0])

    os.killpg(master, signal.SIGKILL)

    wait_until(
        lambda: installed.run("setup.sh", "--local", "--status").returncode == 3,
        seconds=10,
        why="the status is 3",
    )
    output_of(installed.run("setup.sh", "--local", "--detach", "--port", str(port)))


def test_a_wrong_setting_is_shown_and_nothing_runs(installed: Clone, port: int) -> None:
    result = installed.run(
        "setup.sh", "--local", "--detach", "--port", str(port), env={"LOG_LEVEL": "LOUD"}
    )
    assert result.returncode == 1
    assert "LOG_LEVEL" in result.stderr and "exit status 1" in result.stderr
    assert installed.run("setup.sh", "--local", "--status").returncode == 3
