"""The command line: defaults, and one clear line for what cannot be meant."""

import pytest
from deploy.cli import parse


def test_without_arguments_the_clone_is_built_and_switched_to_at_once() -> None:
    given = parse([])
    assert (given.action, given.image, given.strategy) == (None, None, "blue-green")
    assert given.watch_seconds == 20
    assert given.settings.parts[-2:] == ("infrastructure", ".env")


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        (["--strategy", "canary"], 60),
        (["--strategy", "canary", "--step-seconds", "5"], 5),
        (["--rollback"], 0),  # it must not be refused
    ],
)
def test_each_kind_of_deploy_is_watched_for_its_time(arguments: list[str], seconds: float) -> None:
    assert parse(arguments).watch_seconds == seconds


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--strategy", "rolling"], "invalid choice: 'rolling'"),
        (["--step-seconds", "soon"], "'soon' is not a number from 1"),
        (["--max-error-ratio", "20"], "'20' is not a number from 0 to 1"),
        (["--max-p99-ms", "nan"], "'nan' is not a number from 1"),
        (["--rollback", "--image", "app:1"], "--image: not allowed with argument --rollback"),
        (["--rollback", "--recover"], "--recover: not allowed with argument --rollback"),
        (["--rollback", "--strategy", "canary"], "--strategy has no meaning with --rollback"),
        (["--history", "--dry-run"], "--dry-run has no meaning with --history"),
        (["--env-file", "/does/not/exist"], "there is no file /does/not/exist"),
        (["app:1"], "unrecognized arguments: app:1"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    written = capsys.readouterr().err
    assert ended.value.code == 2
    assert line in written and written.startswith("error: ") and written.count("\n") == 1
