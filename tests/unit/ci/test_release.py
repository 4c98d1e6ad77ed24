"""scripts/ci/release.py: from commits to a version, its notes and its tags."""

import datetime
from pathlib import Path

import pytest

from tests.support.ci_scripts import Git, Run

CHANGELOG = """# Changelog

## [Unreleased]
{unreleased}
## [1.2.3] - 2026-01-02

### Fixed

- An old mistake.
"""


@pytest.fixture
def project(git: Git) -> Git:
    """At version 1.2.3, tagged."""
    (git.folder / "app").mkdir()
    (git.folder / "app" / "__init__.py").write_text('"""A service."""\n\n__version__ = "1.2.3"\n')
    (git.folder / "CHANGELOG.md").write_text(CHANGELOG.format(unreleased=""))
    git.commit("chore(release): v1.2.3")
    git("tag", "v1.2.3")
    return git


def release(run: Run, project: Git, *arguments: str) -> str:
    done = run("release.py", *arguments, "--folder", project.folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refusal(run: Run, project: Git, *arguments: str) -> str:
    done = run("release.py", *arguments, "--folder", project.folder)
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        (["fix: keep the TTL"], "1.2.4"),
        (["Tidy up", "docs: say more"], "1.2.4"),
        (["fix: keep the TTL", "feat(cache): count hits"], "1.3.0"),
        (["feat!: drop the old route", "fix: keep the TTL"], "2.0.0"),
        (["feat : no type", "feature: nor this"], "1.2.4"),
    ],
)
def test_the_commits_since_the_last_version_decide_the_next(
    run: Run, project: Git, subjects: list[str], expected: str
) -> None:
    for subject in subjects:
        project.commit(subject)

    assert release(run, project, "next") == expected


def test_a_breaking_change_may_be_told_in_the_body(run: Run, project: Git) -> None:
    project.commit("fix: rename a setting", "BREAKING CHANGE: CACHE_TTL is CACHE_TTL_DEFAULT now")

    assert release(run, project, "next") == "2.0.0"


def test_before_1_0_a_breaking_change_raises_the_minor_number(run: Run, project: Git) -> None:
    (project.folder / "app" / "__init__.py").write_text('__version__ = "0.4.2"\n')
    project.commit("chore(release): v0.4.2")
    project("tag", "-d", "v1.2.3")
    project("tag", "v0.4.2")
    project.commit("feat!: drop the old route")

    assert release(run, project, "next") == "0.5.0"


def test_the_first_release_is_the_version_that_stands_there(run: Run, project: Git) -> None:
    project("tag", "-d", "v1.2.3")

    assert release(run, project, "next") == "1.2.3"


def test_a_person_may_overrule_the_commits(run: Run, project: Git) -> None:
    project.commit("fix: keep the TTL")

    assert release(run, project, "next", "--bump", "major") == "2.0.0"


def test_without_a_change_there_is_nothing_to_release(run: Run, project: Git) -> None:
    assert "nothing has changed since v1.2.3" in refusal(run, project, "next")


def test_a_tag_that_is_no_version_is_passed_over(run: Run, project: Git) -> None:
    project.commit("fix: keep the TTL")
    project("tag", "v9.9.9-rc.1")

    assert release(run, project, "next") == "1.2.4"


def test_preparing_writes_the_version_and_a_section_made_from_the_commits(
    run: Run, project: Git
) -> None:
    project.commit("fix(cache): keep the TTL")
    project.commit("feat: count hits")
    project.commit("Tidy up the store")
    project.commit("docs: say more")
    project.commit("refactor!: drop the old route")

    release(run, project, "prepare", "--commit")

    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = (project.folder / "CHANGELOG.md").read_text()
    assert text.startswith(f"""# Changelog

## [Unreleased]

## [2.0.0] - {today}

### Added

- Count hits

### Changed

- Tidy up the store
- **Breaking:** Drop the old route

### Fixed

- **cache:** Keep the TTL

## [1.2.3] - 2026-01-02
""")
    assert '__version__ = "2.0.0"' in (project.folder / "app" / "__init__.py").read_text()
    assert project("log", "-1", "--format=%s") == "chore(release): v2.0.0"
    assert project("branch", "--show-current") == "release/v2.0.0"
    assert project("status", "--porcelain") == ""


def test_what_was_written_by_hand_under_unreleased_is_the_section(run: Run, project: Git) -> None:
    unreleased = "\n### Added\n\n- A cache that counts.\n"
    (project.folder / "CHANGELOG.md").write_text(CHANGELOG.format(unreleased=unreleased))
    project.commit("feat: count hits")

    release(run, project, "prepare")

    assert release(run, project, "notes", "1.3.0") == "### Added\n\n- A cache that counts."
    assert "Count hits" not in (project.folder / "CHANGELOG.md").read_text()


def test_preparing_twice_or_over_open_changes_is_refused(run: Run, project: Git) -> None:
    project.commit("fix: keep the TTL")
    release(run, project, "prepare")

    assert "not committed" in refusal(run, project, "prepare")
    project.commit("Leave it half done")
    assert "already has a section [1.2.4]" in refusal(run, project, "prepare")


def test_a_release_that_users_would_not_notice_needs_a_word_by_hand(run: Run, project: Git) -> None:
    project.commit("chore: move a file")

    assert "write what 1.2.4 brings under ## [Unreleased]" in refusal(run, project, "prepare")


def test_a_dry_run_changes_nothing(run: Run, project: Git) -> None:
    project.commit("fix: keep the TTL")

    assert "would write 1.2.4" in release(run, project, "prepare", "--dry-run")
    assert project("status", "--porcelain") == ""


def test_a_version_without_notes_cannot_be_published(run: Run, project: Git) -> None:
    assert "no entries under [7.0.0]" in refusal(run, project, "notes", "7.0.0")


def test_an_image_between_releases_says_how_far_it_is(run: Run, project: Git) -> None:
    assert release(run, project, "build-version") == "1.2.3"

    project.commit("fix: keep the TTL")
    project.commit("fix: and this")

    commit = project("rev-parse", "--short=7", "HEAD")
    assert release(run, project, "build-version") == f"1.2.3+2.g{commit}"


def test_the_commit_that_releases_is_the_version_before_it_has_its_tag(
    run: Run, project: Git
) -> None:
    project.commit("feat: count hits")
    release(run, project, "prepare")
    project.commit("chore(release): v1.3.0 (#12)")

    assert release(run, project, "build-version") == "1.3.0"


def test_a_release_commit_must_match_the_version_in_the_code(run: Run, project: Git) -> None:
    project.commit("chore(release): v4.0.0")

    assert "the commit releases v4.0.0" in refusal(run, project, "build-version")


@pytest.mark.parametrize(
    ("version", "tags"), [("1.2.3", "1.2.3 1.2 1 latest"), ("0.4.2", "0.4.2 0.4 latest")]
)
def test_a_released_image_is_found_by_every_part_of_its_version(
    run: Run, project: Git, version: str, tags: str
) -> None:
    assert release(run, project, "tags", version) == tags


@pytest.mark.parametrize(
    "title", ["fix: keep the TTL", "build(deps): bump flask", "feat(api)!: cut"]
)
def test_a_conventional_title_passes(run: Run, project: Git, title: str) -> None:
    release(run, project, "check-title", title)


@pytest.mark.parametrize(
    "title", ["Keep the TTL", "fix:no space", "oops: what", "fix: ", "$(id): x"]
)
def test_any_other_title_is_refused_with_an_example(run: Run, project: Git, title: str) -> None:
    assert "e.g. 'fix(cache): keep the TTL" in refusal(run, project, "check-title", title)


def test_this_repository_has_a_version_and_a_changelog_to_release_from(run: Run, git: Git) -> None:
    """In a clone, as it stands: what would be written if somebody prepared a release now."""
    root = Path(__file__).resolve().parents[3]
    (git.folder / "app").mkdir()
    for name in ("app/factory.py", "CHANGELOG.md"):
        (git.folder / name).write_bytes((root / name).read_bytes())
    git.commit("Start")
    version = release(run, git, "next")

    release(run, git, "prepare")

    assert release(run, git, "notes", version)
