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


def test_a_duration_may_have_a_unit_and_the_token_is_the_first_of_its_file(tmp_path: Path) -> None:
    for text, seconds in {"45": 45, "45s": 45, "5m": 300, "1h": 3600}.items():
        assert parse([URL, "--duration", text]).duration == seconds
    (tmp_path / "tokens").write_text("first\nsecond\n")
    assert parse([URL, "--token-file", str(tmp_path / "tokens")]).token_file == "first"


@pytest.mark.parametrize(
    "arguments",
    ["", "127.0.0.1:8080", "http://"]
    + [f"{URL} {rest}" for rest in ("--users 0", "--duration -3", "--p99-ms 0", "--p99-ms nan")]
    + [f"{URL} {rest}" for rest in ("--error-ratio 1.1", "--report /no/such/folder/report.html")]
    + [f"{URL} {rest}" for rest in ("--token-file /no/such/file", "--token-file /dev/null")]
    + [f"{URL} --fast", f"{URL} {URL}"],
)
def test_nonsense_is_one_line(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        parse(arguments.split())
    said = capsys.readouterr().err
    assert said.startswith("error: ") and len(said.splitlines()) == 1
