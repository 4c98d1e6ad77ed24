"""The command line: defaults, and one clear line for what cannot be meant."""

import pytest

from scripts.lib.deploy.options import parse


def test_without_arguments_the_clone_is_built_and_switched_to_at_once() -> None:
    options = parse([])

    assert (options.action, options.image, options.strategy) == ("deploy", None, "blue-green")
    assert options.watch_seconds == 20
    assert options.settings.parts[-2:] == ("infrastructure", ".env")


def test_a_canary_is_watched_for_a_minute_at_each_step_unless_told_otherwise() -> None:
    assert parse(["--strategy", "canary"]).watch_seconds == 60
    assert parse(["--strategy", "canary", "--step-seconds", "5"]).watch_seconds == 5


def test_a_rollback_is_not_watched_because_it_must_not_be_refused() -> None:
    assert parse(["--rollback"]).watch_seconds == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--strategy", "rolling"], "invalid choice: 'rolling'"),
        (["--step-seconds", "soon"], "'soon' is no number from 1"),
        (["--max-error-ratio", "20"], "'20' is no number from 0 to 1"),
        (["--max-p99-ms", "nan"], "'nan' is no number from 1"),
        (["--rollback", "--image", "app:1"], "--image means nothing with --rollback"),
        (["--rollback", "--recover"], "--rollback and --recover exclude each other"),
        (["--history", "--dry-run"], "--dry-run means nothing with --history"),
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
