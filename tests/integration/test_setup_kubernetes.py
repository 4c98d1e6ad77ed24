"""scripts/setup.sh --kubernetes: what it asks of kubectl, helm, kind and docker, and its refusals.

The programs are played by scripts that note what they were asked; the chart has its turn on a real
cluster in tests/e2e.
"""

import subprocess
from pathlib import Path

import pytest

from tests.support.chart import CHART
from tests.support.clone import Clone, assert_refused
from tests.support.processes import Programs, output_of, run

NAME = CHART.name
PROGRAMS = ("kubectl", "helm", "kind", "docker")


class Machine:
    def __init__(self, folder: Path) -> None:
        self.clone = Clone(folder / "a clone")
        self.programs = Programs(folder / "bin", "bash env dirname cat grep tail mkdir rm")
        self.play = self.programs.add
        for name in PROGRAMS:
            self.play(name)

    def setup(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": self.programs.path}
        return self.clone.run("setup.sh", "--kubernetes", *arguments, env=path)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nodes"], ["unknown option --nodes", "--help"]),
        (["--namespace", "Demo"], ["--namespace", "not 'Demo'"]),
        (["--namespace"], ["--namespace", "not ''"]),
        (["--image", "here:5000/web"], ["--image", "a tag or a digest", "'here:5000/web'"]),
    ],
)
def test_a_wrong_option_is_refused(
    machine: Machine, arguments: list[str], words: list[str]
) -> None:
    assert_refused(machine.setup(*arguments), *words)
    assert not machine.programs.calls


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_missing_program_is_named_with_its_page(machine: Machine, name: str) -> None:
    (machine.programs.folder / name).unlink()
    assert_refused(machine.setup("--kind"), f"{name} is not installed", "https://")


@pytest.mark.parametrize(
    ("program", "says", "arguments", "words"),
    [
        (
            "kubectl",
            "[[ $1 == config ]] && echo far-away || exit 1",
            [],
            ["no cluster answers", "far-away", "--kind"],
        ),
        (
            "helm",
            "echo 'level=INFO msg=\"found symbolic link\"' >&2; echo 'it timed out' >&2; exit 1",
            [],
            ["it timed out", "get pods,events"],
        ),
        ("docker", "exit 1", ["--kind"], ["image could not be built"]),
    ],
)
def test_what_fails_is_said_in_one_line(
    machine: Machine, program: str, says: str, arguments: list[str], words: list[str]
) -> None:
    machine.play(program, says)
    assert_refused(machine.setup(*arguments), *words)


@pytest.mark.parametrize(
    ("image", "values"),
    [
        ("here/web:1.2", "--set image.repository=here/web --set-string image.tag=1.2"),
        (
            "here:5000/web@sha256:ab",
            "--set image.repository=here:5000/web --set image.digest=sha256:ab",
        ),
    ],
)
def test_an_image_is_installed_by_tag_or_digest(machine: Machine, image: str, values: str) -> None:
    installed = how_it_was_installed(machine, f"--image={image}", "--namespace=demo")
    assert "docker" not in str(machine.programs.calls)
    assert values in installed and "--namespace demo" in installed


def how_it_was_installed(machine: Machine, *arguments: str) -> str:
    """The helm command."""
    output_of(machine.setup(*arguments))
    (installed,) = (call for call in machine.programs.calls if call.startswith("helm upgrade"))
    return installed


@pytest.mark.parametrize("there", [True, False])
def test_a_namespace_that_is_there_is_not_made(machine: Machine, there: bool) -> None:
    """Those who own a namespace alone may not even try."""
    machine.play("kubectl", f"[[ $1$2 != getnamespace ]] || {str(there).lower()}")
    installed = how_it_was_installed(machine, "--image=web:1", "--namespace=demo")
    assert ("--create-namespace" in installed) is not there


def test_a_kind_cluster_is_made_once_and_gets_the_image(machine: Machine) -> None:
    output_of(machine.setup("--kind"))
    machine.play("kind", "echo devops-starter")
    assert machine.setup("--kind").returncode == 0

    asked = machine.programs.calls
    assert sum(line.startswith("kind create cluster") for line in asked) == 1
    assert asked.count(f"kind load docker-image --name {NAME} {NAME}:local") == 2
    assert asked.count("kubectl config use-context kind-devops-starter") == 2


def test_the_commands_it_ends_with_are_valid(machine: Machine) -> None:
    """They are run, with a curl and a kubectl that note what they were asked."""
    said = machine.setup("--kind", "--namespace", "demo").stdout
    machine.play("kubectl", "echo c2VjcmV0")
    machine.play("curl")
    machine.programs.link("base64")
    before = len(machine.programs.calls)

    commands = [line for line in said.splitlines() if line.startswith("  curl ")]
    for command in commands:
        assert run(["bash", "-c", command], env={"PATH": machine.programs.path}).returncode == 0

    assert len(commands) == 3
    asked = "\n".join(machine.programs.calls[before:])
    assert "kubectl --namespace demo get secret" in asked
    assert "curl -X PUT -H Authorization: Bearer secret -H Content-Type" in asked


def test_down_removes_the_release_and_says_what_stays(machine: Machine) -> None:
    said = machine.setup("--down", "--namespace", "demo")
    assert f"helm uninstall {NAME} --namespace demo --wait" in machine.programs.calls
    assert "kubectl --namespace demo delete pvc,secret" in said.stdout
