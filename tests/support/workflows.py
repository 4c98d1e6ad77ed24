"""The workflows as data: their jobs, steps and expressions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.support.paths import ROOT

GITHUB = ROOT / ".github"
FILES = sorted([*(GITHUB / "workflows").glob("*.yml"), *(GITHUB / "actions").glob("*/action.yml")])
NAMES = [path.stem for path in FILES if path.parent.name == "workflows"]


def load(name: str) -> dict[str, Any]:
    """A workflow as YAML; `on`, which YAML 1.1 takes for a truth value, under its own name."""
    text = (GITHUB / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    data: dict[Any, Any] = yaml.safe_load(text)
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
    def condition(self) -> str:
        return str(self.data.get("if", "true"))

    @property
    def writes(self) -> set[str]:
        """The scopes it may write, but for code scanning, which shows findings to maintainers."""
        permissions = self.data["permissions"].items()
        return {scope for scope, access in permissions if access == "write"} - {"security-events"}

    @property
    def secrets(self) -> set[str]:
        named = set(re.findall(r"\bsecrets\.(\w+)", "\n".join(strings(self.data))))
        return named | ({"inherit"} if self.data.get("secrets") == "inherit" else set())


def jobs() -> list[Job]:
    return [Job(name, id_, data) for name in NAMES for id_, data in load(name)["jobs"].items()]


def job(name: str) -> Job:
    return next(job for job in jobs() if job.name == name)


def strings(data: Any) -> Iterator[str]:
    """Every string in a piece of YAML, keys left out."""
    if isinstance(data, (dict, list)):
        for value in data.values() if isinstance(data, dict) else data:
            yield from strings(value)
    elif isinstance(data, str):
        yield data


def holds(expression: str, values: dict[str, Any]) -> bool:
    """An expression of a workflow, for these values of the contexts that it names."""
    code = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", expression.strip())
    code = code.replace("&&", " and ").replace("||", " or ").replace("!cancelled()", "True")
    code = re.sub(r"!(?!=)", " not ", code).replace("always()", "True").replace("true", "True")
    names = r"\b(?:github|needs|inputs|vars|secrets)\.[\w.-]+"
    code = re.sub(names, lambda found: repr(values.get(found[0], "")), code)
    scope = {"__builtins__": {}, "contains": lambda text, part: part in text}
    return bool(eval(code, scope))  # pylint: disable=eval-used
