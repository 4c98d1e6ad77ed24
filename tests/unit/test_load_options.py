"""What scripts/load-test.sh takes, and what it refuses in one line."""

from pathlib import Path

import pytest

from tests.performance.load_options import parse

URL = "http://127.0.0.1:8080"


def test_an_address_is_enough() -> None:
    options = parse([f"{URL}/"])

    assert options.url == URL
    assert (options.users, options.duration) == (10, 30)
    assert options.report is None and options.token_file is None


@pytest.mark.parametrize(("text", "seconds"), [("45", 45), ("45s", 45), ("5m", 300), ("1h", 3600)])
def test_a_duration_may_have_a_unit(text: str, seconds: int) -> None:
    assert parse([URL, "--duration", text]).duration == seconds


def test_the_token_is_the_first_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("first\nsecond\n")

    assert parse([URL, "--token-file", str(tmp_path / "tokens")]).token_file == "first"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["127.0.0.1:8080"],
        ["http://"],
        [URL, "--users", "0"],
        [URL, "--duration", "-3"],
        [URL, "--p99-ms", "0"],
        [URL, "--p99-ms", "nan"],
        [URL, "--error-ratio", "1.1"],
        [URL, "--report", "/no/such/folder/report.html"],
        [URL, "--token-file", "/no/such/file"],
        [URL, "--token-file", "/dev/null"],
        [URL, "--fast"],
        [URL, URL],
    ],
)
def test_nonsense_is_refused_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and len(said.splitlines()) == 1
