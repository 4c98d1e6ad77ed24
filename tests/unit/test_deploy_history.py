"""The history decides what --rollback goes back to, so it is read with care."""

import json

from scripts.lib.deploy.history import (
    FAILED,
    IN_SERVICE,
    ROLLED_BACK,
    VERSIONS_KEPT,
    Deploy,
    outdated,
    parse,
    version_before,
)
from scripts.lib.deploy.images import Image


def image(name: str) -> Image:
    return Image(f"app:{name}", f"sha256:{name}", name, "unknown")


def deploy(before: str, to: str, *, kind: str = "deploy", outcome: str = IN_SERVICE) -> Deploy:
    return Deploy(
        f"{before}{to}{kind}", "at", "who", kind, "canary", image(before), image(to), outcome
    )


def rollback(before: str, to: str) -> Deploy:
    return deploy(before, to, kind="rollback")


def test_a_rollback_goes_to_the_version_before_the_running_one() -> None:
    assert version_before([deploy("a", "b"), deploy("b", "c")], "sha256:c") == image("b")


def test_two_rollbacks_go_back_two_versions() -> None:
    deploys = [deploy("a", "b"), deploy("b", "c"), rollback("c", "b")]

    assert version_before(deploys, "sha256:b") == image("a")


def test_a_version_deployed_again_after_a_rollback_is_new_once_more() -> None:
    deploys = [deploy("a", "b"), rollback("b", "a"), deploy("a", "c")]

    assert version_before(deploys, "sha256:c") == image("a")


def test_deploys_that_were_rolled_back_never_were_in_service() -> None:
    deploys = [deploy("a", "b"), deploy("b", "c", outcome=ROLLED_BACK)]

    assert version_before(deploys, "sha256:b") == image("a")


def test_a_version_that_somebody_started_by_hand_gives_way_to_the_last_deployed_one() -> None:
    assert version_before([deploy("a", "b")], "sha256:by-hand") == image("b")


def test_renewing_the_same_version_is_no_version_of_its_own() -> None:
    assert version_before([deploy("a", "b"), deploy("b", "b")], "sha256:b") == image("a")


def test_without_a_history_there_is_nothing_to_go_back_to() -> None:
    assert version_before([], "sha256:a") is None
    assert version_before([deploy("a", "a")], "sha256:a") is None


def test_a_deploy_is_told_by_two_lines_and_the_second_one_ends_it() -> None:
    begun = {"event": "begun", "id": "1", "at": "t", "who": "w", "kind": "deploy"}
    begun |= {"strategy": "canary", "before": image("a").as_json(), "to": image("b").as_json()}
    ended = {"event": "ended", "id": "1", "ended": "u", "outcome": ROLLED_BACK, "reason": "why"}

    cut_off = parse([json.dumps(begun)])[0]
    whole = parse([json.dumps(begun), json.dumps(ended)])[0]

    assert cut_off.unfinished
    assert not whole.unfinished
    assert "a app:a -> b app:b  rolled back: why" in str(whole)


def test_half_a_line_at_the_end_does_not_hide_the_rest() -> None:
    begun = {"event": "begun", "id": "1", "at": "t", "who": "w", "kind": "deploy"}
    begun |= {"strategy": "canary", "before": image("a").as_json(), "to": image("b").as_json()}

    assert len(parse([json.dumps(begun), '{"event": "end'])) == 1


def test_a_deploy_that_could_not_put_things_back_waits_for_recovery() -> None:
    assert deploy("a", "b", outcome=FAILED).unfinished
    assert not deploy("a", "b").unfinished


def test_only_images_that_no_rollback_will_need_are_outdated() -> None:
    deploys = [deploy(str(number), str(number + 1)) for number in range(VERSIONS_KEPT + 2)]
    newest = f"app:{VERSIONS_KEPT + 2}"

    assert not outdated(deploys[:2], keep="app:2")
    assert newest not in outdated(deploys, keep=newest)
    assert outdated(deploys, keep=newest) == ["app:2", "app:1", "app:0"]
