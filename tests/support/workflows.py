"""The workflows as data: their jobs, steps, commands and expressions."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
NAMES = ("ci-cd", "docker-build", "security-scan")
USES = re.compile(r"uses: (?P<name>[^@\s]+)@(?P<commit>\S+)(?: # (?P<version>\S+))?")


def text(name: str) -> str:
    return (FOLDER / f"{name}.yml").read_text(encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    """The file as YAML; `on`, which YAML 1.1 takes for a truth value, under its own name."""
    data: dict[Any, Any] = yaml.safe_load(text(name))
    data["on"] = data.pop(True)
    return data


@dataclass(frozen=True)
class Job:
    workflow: str
    id: str
    data: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.workflow}/{self.id}"

    @property
    def needs(self) -> list[str]:
        return list(self.data.get("needs", []))

    @property
    def condition(self) -> str:
        return str(self.data.get("if", ""))

    @property
    def steps(self) -> list[dict[str, Any]]:
        return list(self.data.get("steps", []))


def jobs() -> list[Job]:
    return [Job(name, id_, data) for name in NAMES for id_, data in load(name)["jobs"].items()]


def job(name: str) -> Job:
    """By "workflow/job"."""
    return next(job for job in jobs() if job.name == name)


def steps() -> Iterator[tuple[Job, dict[str, Any]]]:
    for job_ in jobs():
        for step in job_.steps:
            yield job_, step


def strings(data: Any) -> Iterator[str]:
    """Every string in a piece of YAML, keys left out."""
    if isinstance(data, dict):
        for value in data.values():
            yield from strings(value)
    elif isinstance(data, list):
        for value in data:
            yield from strings(value)
    elif isinstance(data, str):
        yield data


def named(context: str, data: Any) -> set[str]:
    """The members of a context such as `secrets` or `vars` that expressions name."""
    return {name for value in strings(data) for name in re.findall(rf"\b{context}\.(\w+)", value)}


def commands() -> list[tuple[str, list[str], dict[str, str]]]:
    """(where, words, environment) of every command that a step runs."""
    found = []
    for job_, step in steps():
        if "run" not in step:
            continue
        environment = job_.data.get("env", {}) | step.get("env", {})
        for line in str(step["run"]).splitlines():
            found.append((f"{job_.name}: {step['name']}", shlex.split(line), environment))
    return found


def table(document: str, first_column: str) -> list[list[str]]:
    """The cells of the Markdown table whose first heading is the given one, headings left out."""
    markdown = (ROOT / document).read_text(encoding="utf-8")
    rows: list[list[str]] = []
    for block in re.split(r"\n\s*\n", markdown):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        if cells and cells[0][0] == first_column:
            rows += cells[2:]
    return rows
