"""Names of images: which are refused, and which name a deploy gives one."""

import pytest

from scripts.lib.deploy import Problem
from scripts.lib.deploy.images import check, firm_name

ID = "sha256:0123456789abcdef" + 48 * "0"
DIGEST = "sha256:" + 64 * "f"


@pytest.mark.parametrize(
    "reference",
    [
        "devops-starter:1.4.0",
        "localhost:5000/app:1",
        "ghcr.io/you/app@" + DIGEST,
        "ghcr.io/you/app:1@" + DIGEST,
    ],
)
def test_a_name_that_says_its_version_is_taken(reference: str) -> None:
    check(reference)


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("app", "app says no version"),
        ("app:latest", "app:latest says no version"),
        ("localhost:5000/app", "says no version"),
        ("app@sha256:abc", "is no image"),
        ("--privileged", "is no image"),
        ("App Name:1", "is no image"),
        ("", "is no image"),
    ],
)
def test_a_name_that_does_not_is_refused_in_one_line(reference: str, problem: str) -> None:
    with pytest.raises(Problem, match=problem) as refused:
        check(reference)
    assert "\n" not in str(refused.value)


def test_a_digest_is_kept_as_it_is() -> None:
    assert firm_name(f"ghcr.io/you/app@{DIGEST}", ID, []) == f"ghcr.io/you/app@{DIGEST}"


def test_a_tag_of_a_registry_becomes_its_digest() -> None:
    digests = [f"other.io/app@{DIGEST}", f"ghcr.io/you/app@{DIGEST}"]

    assert firm_name("ghcr.io/you/app:main", ID, digests) == f"ghcr.io/you/app@{DIGEST}"


def test_a_local_tag_may_move_so_it_gets_the_start_of_the_id() -> None:
    assert firm_name("shop:local", ID, []) == "shop:local-0123456789ab"
    assert firm_name("localhost:5000/app:1", ID, []) == "localhost:5000/app:1-0123456789ab"


def test_a_firm_name_stays_firm() -> None:
    firm = firm_name("devops-starter:local", ID, [])

    assert firm_name(firm, ID, []) == firm


def test_a_firm_name_that_was_moved_to_another_image_is_corrected() -> None:
    moved = "devops-starter:local-fedcba987654"

    assert firm_name(moved, ID, []) == "devops-starter:local-0123456789ab"
