"""The README's commands do what it says they do, run as they stand there."""

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.processes import run
from tests.support.service import Service

# Somebody who makes the clone their own writes another README; then there is nothing to try here.
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROMISE = "at first it takes half a minute, later a second:"


def block(heading: str, language: str = "sh") -> str:
    section = README.partition(f"\n## {heading}\n")[2]
    return str(re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)[0])


def tour() -> list[tuple[str, str]]:
    """Each command with the comment behind it."""
    joined = block("A tour with curl").replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(command, comment) for command, _, comment in (line.partition(" # ") for line in lines)]


@pytest.mark.skipif("\n## A tour with curl\n" not in README, reason="this README has no tour")
def test_every_line_of_the_tour_is_as_it_says(embedded_service: Service, tmp_path: Path) -> None:
    # Curl itself says the status at the end, so that the commands stay as people type them.
    (tmp_path / ".curlrc").write_text('silent\nwrite-out = "\\nstatus=%{http_code}"\n')
    environment = {"PATH": "/usr/bin:/bin", "CURL_HOME": str(tmp_path)}
    assert len(tour()) > 10

    for command, comment in tour():
        command = command.replace("localhost:8080", f"localhost:{embedded_service.port}")
        done = run(["bash", "-c", command], env=environment)

        status, *words = re.findall(r'^\d{3}|"[^"]+"', comment)
        assert done.stdout.endswith(f"status={status}"), (command, done.stdout)
        for word in words:
            assert word.strip('"') in done.stdout, (command, done.stdout)


@pytest.mark.skipif(PROMISE not in README, reason="this README shows no start")
def test_the_first_command_prints_the_text_in_the_readme() -> None:
    shown = README.partition(f"{PROMISE}\n\n```\n")[2].partition("```")[0]
    libraries = "source scripts/lib/common.sh; source scripts/lib/local.sh"
    program = f"{libraries}; local_welcome http://127.0.0.1:8080"
    printed = run(["bash", "-c", program], env={"PATH": "/usr/bin:/bin"})
    assert printed.stdout.strip() == shown.strip()
