"""The documentation: links lead somewhere, and the files, scripts and options it names exist."""

import re
import shlex
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.paths import ROOT
from tests.support.processes import output_of, run

LEFT_OUT = {".venv", ".run", "node_modules", "swagger-ui", ".hypothesis", ".pytest_cache"}
PAGES = sorted(
    path.relative_to(ROOT)
    for path in ROOT.rglob("*.md")
    if not LEFT_OUT & set(path.relative_to(ROOT).parts)
)
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
# What the folders of the project are called; `/health` or `text/html` are no files.
FOLDERS = "app|docker|docs|infrastructure|monitoring|scripts|tests|\\.github|\\.ci"
FILE = re.compile(rf"`((?:{FOLDERS})/[\w./*-]*)`")
COMMAND = re.compile(r"(?:^|[`\s(])\./(scripts/[\w./-]+)([^`\n|;)]*)")

# Made by running the project, or given as an example of what one might add.
NOT_IN_A_CLONE = re.compile(r"^infrastructure/(\.env$|secrets/|certs/)")
EXAMPLES = {f"app/{kind}/greetings.py" for kind in ("routes", "services")} | {"app/jobs.py"}
EXAMPLES |= {"tests/unit/test_routes_greetings.py"}


@cache
def text(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", text(page)), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


def links(page: Path) -> list[str]:
    found = [first or second for first, second in LINK.findall(CODE.sub("", text(page)))]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_heading_and_every_file_it_names_is_there(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = unquote(link).partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists():
            broken.append(link)
        elif anchor and anchor not in anchors(target.resolve().relative_to(ROOT)):
            broken.append(link)
    named = {path.rstrip(".") for path in FILE.findall(text(page))} - EXAMPLES
    kept = [path for path in named if not NOT_IN_A_CLONE.match(path)]

    assert not broken
    assert [path for path in kept if not list(ROOT.glob(path.rstrip("/")))] == []


def commands() -> list[tuple[Path, str, str]]:
    """Page, command and option, for each option of a script that a page names.

    A command is a script and, if it has such, its subcommand.
    """
    found = set()
    for page in PAGES:
        for script, rest in COMMAND.findall(text(page)):
            own = rest.partition(" -- ")[0].partition(" #")[0]
            subcommand = re.match(r" [a-z-]+(?= --)", own) if script.endswith(".py") else None
            command = script + (subcommand[0] if subcommand else "")
            options = re.findall(r"(?<=\s)--[a-z][\w-]*", own)
            found |= {(page, command, option) for option in ("--help", *options)}
    return sorted(found)


@cache
def help_of(command: str) -> str:
    """What the command says of itself; quick, and without touching anything."""
    script, *subcommand = shlex.split(command)
    start = [sys.executable] if script.endswith(".py") else []
    said = output_of(run([*start, str(ROOT / script), *subcommand, "--help"]))
    return said


@pytest.mark.parametrize(("page", "command", "option"), commands(), ids=str)
def test_every_script_and_option_it_names_is_there(page: Path, command: str, option: str) -> None:
    assert (ROOT / command.split()[0]).is_file(), f"{page} names {command}"
    if option != "--help":
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", help_of(command)), f"{page}: {option}"
    else:
        assert help_of(command).strip()
