"""Secret files: a change is taken up, and what cannot be used leaves the old secrets."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.config import Settings
from app.server.secret_files import SecretFiles

OLD, NEW = "A7mQ2xLw9Zt4VbN6rK1sYh3D", "Zt4VbN6rK1sYh3DA7mQ2xLw9"
Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Replaces the file as Kubernetes does: a link to a folder leads to another one."""
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("REDIS_URL", "redis://redis/0")
    monkeypatch.setenv("SECRET_KEY", "f3c1" + OLD + NEW)
    monkeypatch.setenv("API_TOKENS_FILE", str(tmp_path / "data" / "api_tokens"))

    def replace(text: str) -> None:
        folder = tmp_path / f"version-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "api_tokens").write_text(text, encoding="utf-8")
        (tmp_path / "new").symlink_to(folder)
        (tmp_path / "new").rename(tmp_path / "data")

    replace(OLD)
    return replace


Used = tuple[SecretFiles, list[tuple[str, ...]]]


@pytest.fixture
def used(write: Write) -> Used:  # pylint: disable=unused-argument
    tokens: list[tuple[str, ...]] = []
    return SecretFiles(Settings.from_env(), lambda new: tokens.append(new.api_tokens)), tokens


def test_a_change_is_taken_up_once(used: Used, write: Write) -> None:
    files, tokens = used
    files.refresh()
    write(f"{OLD}\n{NEW}\n")
    for _ in range(2):
        files.refresh()
    write(NEW)
    files.refresh()

    assert tokens == [(OLD, NEW), (NEW,)]


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        *[(text, "production") for text in ("", "weak", "change-me-change-me-change-me", None)],
        ("", "development"),  # tokens are optional there: it does not open writing
    ],
)
def test_an_unusable_or_missing_file_is_named_once_and_changes_nothing(
    used: Used, write: Write, text: str | None, environment: str, caplog: pytest.LogCaptureFixture
) -> None:
    files, tokens = used
    os.environ["APP_ENV"] = environment
    if text is None:
        Path(os.environ["API_TOKENS_FILE"]).parent.unlink()
    else:
        write(text)
    for _ in range(2):
        files.refresh()

    (record,) = caplog.records
    assert (record.levelno, tokens) == (logging.ERROR, [])
    assert "API_TOKENS" in record.getMessage()
    assert not text or text not in record.getMessage()
    write(NEW)
    files.refresh()
    assert tokens == [(NEW,)]
