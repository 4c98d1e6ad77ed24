"""scripts/ci/scan_secrets.py and licences.py."""

import importlib
from pathlib import Path

import pytest

from tests.support.ci_scripts import Git, Run

# Put together here, so that no scan of this repository stumbles over them.
AWS_KEY = "AKIA" + "Z7VRSQ5TJN2XMKLD"
PRIVATE_KEY = "-----BEGIN RSA " + "PRIVATE KEY-----"
WORD = 'password = "' + 'kf83hf92hf8"'  # noqa: ISC003


@pytest.mark.parametrize("secret", [f"key = {AWS_KEY}", PRIVATE_KEY, WORD])
def test_a_secret_in_a_tracked_file_is_found_and_not_repeated(
    run: Run, git: Git, secret: str
) -> None:
    (git.folder / "settings.py").write_text(f"# first line\n{secret}\n")
    git("add", "settings.py")

    done = run("scan_secrets.py", "--folder", git.folder)

    assert done.returncode == 1
    assert done.stdout.startswith("settings.py:2: ")
    assert AWS_KEY not in done.stdout + done.stderr


def test_what_git_does_not_track_is_nobodys_business(run: Run, git: Git) -> None:
    (git.folder / ".env").write_text(f"{WORD}\n")

    assert run("scan_secrets.py", "--folder", git.folder).returncode == 0


def test_a_line_that_a_reviewer_has_let_pass_passes(run: Run, git: Git) -> None:
    (git.folder / "settings.py").write_text(f"{WORD}  # pragma: allowlist secret\n")
    git("add", "settings.py")

    assert run("scan_secrets.py", "--folder", git.folder).returncode == 0


def test_tests_may_make_up_passwords_but_not_hold_keys(run: Run, git: Git) -> None:
    (git.folder / "tests").mkdir()
    test = git.folder / "tests" / "test_login.py"
    test.write_text(f"{WORD}\n")
    git("add", "tests")

    assert run("scan_secrets.py", "--folder", git.folder).returncode == 0
    test.write_text(f"{WORD}\nkey = {AWS_KEY}\n")
    assert run("scan_secrets.py", "--folder", git.folder).returncode == 1


def test_a_secret_that_was_taken_out_again_is_still_in_the_history(run: Run, git: Git) -> None:
    (git.folder / "a folder").mkdir()
    file = git.folder / "a folder" / "settings.py"
    file.write_text(f"key = {AWS_KEY}\n")
    git.commit("feat: settings")
    file.write_text("key = None\n")
    git.commit("fix: no key here")

    assert run("scan_secrets.py", "--folder", git.folder).returncode == 0
    done = run("scan_secrets.py", "--history", "--folder", git.folder)
    assert done.returncode == 1 and "a folder/settings.py:1: AWS Access Key" in done.stdout


def test_a_secret_that_came_with_a_new_name_of_its_file_is_found_in_the_history(
    run: Run, git: Git
) -> None:
    """git calls a file that moves and changes a little a rename, neither added nor modified."""
    lines = "".join(f"SETTING_{number} = {number}\n" for number in range(30))
    (git.folder / "old.py").write_text(lines)
    git.commit("feat: settings")
    git("mv", "old.py", "new.py")
    (git.folder / "new.py").write_text(f"{lines}key = {AWS_KEY}\n")
    git.commit("refactor: a better name")
    (git.folder / "new.py").write_text(lines)
    git.commit("fix: no key here")

    done = run("scan_secrets.py", "--history", "--folder", git.folder)

    assert done.returncode == 1 and "new.py:31: AWS Access Key" in done.stdout


def test_a_secret_on_another_branch_is_found_in_the_history(run: Run, git: Git) -> None:
    git.commit("Start")
    git("switch", "--quiet", "--create", "other")
    (git.folder / "settings.py").write_text(f"key = {AWS_KEY}\n")
    git.commit("feat: settings")
    git("switch", "--quiet", "main")

    assert run("scan_secrets.py", "--history", "--folder", git.folder).returncode == 1


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MPL-2.0 AND (Apache-2.0 OR GPL-2.0-only)", True),
        ("", False),
        ("MIT style, more or less", False),
    ],
)
def test_one_side_of_an_or_is_enough_and_every_side_of_an_and_is_needed(
    expression: str, allowed: bool
) -> None:
    licences = importlib.import_module("licences")

    assert licences.is_allowed(expression) is allowed


def test_every_package_that_is_shipped_has_an_allowed_licence(run: Run) -> None:
    done = run("licences.py")

    assert (done.returncode, done.stderr) == (0, "")
    assert "| flask | BSD-3-Clause |" in done.stdout


def test_a_package_under_another_licence_is_named(run: Run, tmp_path: Path) -> None:
    """pylint is GPL: fine as a tool, not as part of what is shipped."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(
        "flask==3.1.3 \\\n    --hash=sha256:00\npylint==4.1.4 ; python_version > '3'\n"
    )

    done = run("licences.py", "--requirements", requirements)

    assert done.returncode == 1
    assert "pylint (GPL-2.0-or-later)" in done.stderr and "flask" not in done.stderr


def test_a_package_that_another_python_needs_is_not_asked_for(run: Run, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("flask==3.1.3\nnot-installed==1.0 ; python_full_version < '3.11'\n")

    assert run("licences.py", "--requirements", requirements).returncode == 0


def test_where_the_packages_are_missing_it_says_how_to_run_it(run: Run, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("not-installed==1.0\n")

    done = run("licences.py", "--requirements", requirements)

    assert done.returncode == 1 and "not-installed is not installed here" in done.stderr
