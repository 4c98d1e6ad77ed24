"""scripts/setup.sh --name: a clone made one's own."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.clone import assert_refused, environment
from tests.support.paths import ROOT
from tests.support.processes import output_of, run
from tests.support.service import EMBEDDED, StartService

# Whatever this clone is called by now: these tests go with it when it is renamed.
PRESENT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
FORMER = re.compile(PRESENT.replace("-", "[-_ ]?"), re.IGNORECASE)
NEW, NEWER = "amber-line", "night-train"
NOT_COPIED = (".git", ".venv", ".run", "__pycache__", ".*_cache", ".hypothesis", "node_modules")


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    said = output_of(run(["git", *names, *arguments], cwd=folder))
    return said.strip()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rename") / "clone"
    copy(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Start")
    return folder


@pytest.fixture(scope="module")
def renamed(original: Path) -> Path:
    folder = original.with_name("renamed")
    copy(original, folder)
    output_of(setup(folder, "--name", NEW, "--holder", "Ada Lovelace & Söhne"))
    return folder


def copy(folder: Path, to: Path, **options: Any) -> None:
    """With its links: those of the chart would have their text twice."""
    shutil.copytree(folder, to, symlinks=True, **options)


def setup(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run([folder / "scripts" / "setup.sh", *arguments], env=environment())


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def tracked(folder: Path) -> list[Path]:
    names = git(folder, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return [path for name in names if (path := folder / name).is_file()]


def test_only_the_licence_keeps_the_name_of_the_former_holder(
    renamed: Path, original: Path
) -> None:
    left = [path for path in tracked(renamed) if FORMER.search(path.name + text_of(path))]
    first, *others = re.findall("^Copyright .*", text_of(renamed / "LICENSE"), re.MULTILINE)
    assert set(left) <= {renamed / "LICENSE"}
    assert re.fullmatch(r"Copyright \(c\) 20\d\d Ada Lovelace & Söhne", first)
    assert [line in text_of(original / "LICENSE") for line in others] == [True]


def test_service_image_dashboards_and_chart_have_the_new_name(renamed: Path) -> None:
    compose = yaml.safe_load(text_of(renamed / "infrastructure" / "docker-compose.yml"))
    dashboards = (renamed / "monitoring" / "grafana" / "dashboards").glob("*.json")
    charts = sorted((renamed / "infrastructure" / "helm").glob("*/Chart.yaml"))
    links = list((charts[0].parent / "files").iterdir())

    assert compose["name"] == NEW
    assert compose["services"]["web"]["image"] == f"${{WEB_IMAGE:-{NEW}:local}}"
    assert all(NEW in json.loads(text_of(path))["tags"] for path in dashboards)
    assert text_of(renamed / "README.md").startswith("# Amber Line\n")
    assert [path.parent.name for path in charts] == [NEW]
    assert yaml.safe_load(text_of(charts[0]))["name"] == NEW
    assert len(links) == 6 and all(path.is_symlink() and path.exists() for path in links)


def test_history_is_left_alone_and_every_file_keeps_its_mode(renamed: Path, original: Path) -> None:
    assert git(renamed, "log", "--format=%H") == git(original, "log", "--format=%H")
    assert git(renamed, "diff", "--cached", "--name-only") == ""
    assert "mode change" not in git(renamed, "diff", "--summary")


@pytest.fixture(scope="module")
def mine(renamed: Path) -> Path:
    """As README's "Make it yours" says: renamed, a README of one's own, other items, no demo."""
    folder = renamed.with_name("mine")
    copy(renamed, folder)
    (folder / "README.md").write_text("Parts, made and sold.\n")
    _replace_items(folder)
    _delete_demo(folder)
    return folder


def _replace_items(folder: Path) -> None:
    """Parts instead of items: other files, another address."""
    for place in ("app/routes", "app/services"):
        git(folder, "mv", f"{place}/items.py", f"{place}/parts.py")
    git(folder, "mv", "tests/unit/test_items.py", "tests/unit/test_parts.py")
    named = r"(?:api/v1/|services[./]|routes[./]|unit/test_)items\b(?!\()"
    for path in tracked(folder):
        # The list of imported routes and the list of blueprints are lines of the factory.
        lines = r"|^    items(?=[.,])" if path.name == "factory.py" else ""
        if path.suffix != ".png":
            text = text_of(path)
            found = re.compile(named + lines, re.MULTILINE)
            new = found.sub(lambda name: name[0].replace("items", "parts"), text)
            path.write_text(new, encoding="utf-8")


def _delete_demo(folder: Path) -> None:
    """The demo, the tests that use it, and what the pages say of those."""
    tests = git(folder, "grep", "-l", "api/v1/demo", "--", "tests/**/test_*.py").splitlines()
    git(folder, "rm", "-q", "--force", "app/routes/demo.py", *tests)
    factory = folder / "app" / "factory.py"
    text = text_of(factory).replace("    demo,\n", "")
    factory.write_text(re.sub(r" +if settings\.demo_enabled:\n.*\n", "", text), encoding="utf-8")
    for page in folder.glob("**/*.md"):
        lines = text_of(page).splitlines(keepends=True)
        kept = [line for line in lines if not any(name in line for name in tests)]
        page.write_text("".join(kept), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "check",
    [
        "black --check --quiet .",
        "flake8",
        "mypy",
        "pytest -q -n 2 -m 'not slow' tests/unit tests/integration/test_readme.py",
    ],
    ids=lambda check: check.split()[0],
)
def test_a_clone_made_ones_own_passes_every_check(mine: Path, check: str) -> None:
    command = [sys.executable, "-m", *shlex.split(check)]
    output_of(run(command, cwd=mine, env=environment(), seconds=500))


def test_a_clone_of_ones_own_passes_the_smoke_test(mine: Path, start_service: StartService) -> None:
    script = (ROOT / "scripts" / "lib" / "smoke_test.py").read_text(encoding="utf-8")
    with start_service(redis=EMBEDDED, root=mine) as service:
        script = script.replace('"127.0.0.1", 8000', f'"127.0.0.1", {service.port}')
        done = run([sys.executable, "-c", script, "", ""])
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_name_of_any_length_passes_the_checks(original: Path, tmp_path: Path) -> None:
    for name in ("oz", "a-name-of-twenty-eight-chars"):
        folder = tmp_path / name
        copy(original, folder)
        assert setup(folder, "--name", name).returncode == 0
        changed = git(folder, "diff", "--name-only", "--diff-filter=d", "--", "*.py").splitlines()

        for check in (("black", "--check"), ("flake8",)):
            output_of(run([sys.executable, "-m", *check, *changed], cwd=folder))


def test_it_can_be_renamed_again(renamed: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    copy(renamed, again)

    output_of(setup(again, f"--name={NEWER}", "--holder=Grace Hopper"))
    assert not [path for path in tracked(again) if NEW in text_of(path)]
    assert text_of(again / "LICENSE").count("Copyright (c)") == 2
    assert "Lovelace" not in text_of(again / "LICENSE")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--name", "My Service"], "'My Service'"),
        (["--name", "a$(id)"], "'a$(id)'"),
        (["--name", "x" * 41], "40 at most"),
        (["--name"], "--name"),
        (["--name", "redis"], "already means something"),
        (["--name", PRESENT], "already"),
        (["--name", "fine", "--holder", " "], "' '"),
        (["--name", "fine", "--holder", "two\nlines"], "holder"),
        (["--name", "fine", "--port", "1"], "--port"),
    ],
)
def test_an_invalid_name_changes_nothing(original: Path, arguments: list[str], word: str) -> None:
    done = setup(original, *arguments)
    assert_refused(done, word)
    assert git(original, "status", "--porcelain") == ""


def test_a_clone_that_cannot_be_written_is_refused(original: Path, tmp_path: Path) -> None:
    """As a read-only one, but also for root."""
    folder = tmp_path / "clone"
    copy(original, folder, ignore=shutil.ignore_patterns(".run"))
    (folder / ".run").write_text("a file where the scripts need a folder")

    done = setup(folder, "--name", NEW)

    assert_refused(done, "cannot be written")
    assert git(folder, "diff", "--name-only") == ""
