"""The history decides what --rollback goes back to, so it is read with care."""

import json
from dataclasses import asdict, replace

import pytest
from deploy.docker_client import Image
from deploy.history import FAILED, IN_SERVICE, ROLLED_BACK, VERSIONS_KEPT, Deploy
from deploy.history import outdated, parse, previous_version


def image(name: str) -> Image:
    return Image(f"app:{name}", f"sha256:{name}", name, "unknown")


def deploy(before: str, to: str, *, kind: str = "deploy", outcome: str = IN_SERVICE) -> Deploy:
    return Deploy(
        f"{before}{to}{kind}", "at", "who", kind, "canary", image(before), image(to), outcome
    )


def rollback(before: str, to: str) -> Deploy:
    return deploy(before, to, kind="rollback")


@pytest.mark.parametrize(
    ("deploys", "running", "expected"),
    [
        ([deploy("a", "b"), deploy("b", "c")], "c", "b"),
        # Two rollbacks go back two versions.
        ([deploy("a", "b"), deploy("b", "c"), rollback("c", "b")], "b", "a"),
        # A version deployed after a rollback follows the one that was gone back to.
        ([deploy("a", "b"), rollback("b", "a"), deploy("a", "c")], "c", "a"),
        # A deploy that was rolled back never was in service.
        ([deploy("a", "b"), deploy("b", "c", outcome=ROLLED_BACK)], "b", "a"),
        # Started by hand: the last one that was deployed.
        ([deploy("a", "b")], "by-hand", "b"),
        # Renewing a version does not make another one.
        ([deploy("a", "b"), deploy("b", "b")], "b", "a"),
        ([deploy("a", "a")], "a", None),
        ([], "a", None),
    ],
)
def test_a_rollback_goes_to_the_version_before_the_running_one(
    deploys: list[Deploy], running: str, expected: str | None
) -> None:
    found = previous_version(deploys, f"sha256:{running}")
    assert found == (image(expected) if expected else None)


def test_a_deploy_is_two_lines_and_the_second_one_ends_it() -> None:
    made = deploy("a", "b", outcome="")
    end = replace(made, outcome=ROLLED_BACK, reason="why")
    lines = [json.dumps(asdict(made)), json.dumps(asdict(end))]

    (cut_off,), (whole,) = parse(lines[:1]), parse(lines)

    assert cut_off == made and cut_off.unfinished
    assert not whole.unfinished
    assert "a app:a -> b app:b  rolled back: why" in str(whole)


def test_a_line_that_cannot_be_read_does_not_hide_the_rest() -> None:
    lines = [json.dumps(asdict(deploy("a", "b"))), '{"id": "ab', '{"event": "begun", "id": "1"}']
    assert len(parse(lines)) == 1


def test_a_deploy_that_could_not_put_things_back_waits_for_recovery() -> None:
    assert deploy("a", "b", outcome=FAILED).unfinished


def test_only_images_that_no_rollback_will_need_are_outdated() -> None:
    deploys = [deploy(str(number), str(number + 1)) for number in range(VERSIONS_KEPT + 2)]
    newest = f"app:{VERSIONS_KEPT + 2}"
    assert not outdated(deploys[:2], keep="app:2")
    assert newest not in outdated(deploys, keep=newest)
    assert outdated(deploys, keep=newest) == ["app:2", "app:1", "app:0"]
