"""Secrets in files that change: taken up when they are complete, else the last good one stays."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from redis.exceptions import AuthenticationError

from app.config import Settings
from app.http.signing_keys import SigningKeys
from app.server import secret_files
from app.server.secret_files import SecretFiles
from tests.support.app_parts import make_settings

OLD, NEW = "A7mQ2xLw9Zt4VbN6rK1sYh3D", "Zt4VbN6rK1sYh3DA7mQ2xLw9"
NAMES = ("API_TOKENS", "SECRET_KEY", "REDIS_USERNAME", "REDIS_PASSWORD")


class Files:
    """A file for each secret, SecretFiles that follows them, and what it has taken up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: list[Settings] = []
        self.logins = {("old", OLD)}
        self.asked = 0
        for name in NAMES:
            self.write(name, "old" if name == "REDIS_USERNAME" else OLD)
        self.follower = SecretFiles(Settings.from_env(), self.taken.append, self.check)

    def check(self, settings: Settings) -> None:
        self.asked += 1
        if (settings.redis_username, settings.redis_password) not in self.logins:
            raise AuthenticationError(f"WRONGPASS {settings.redis_password}")

    def write(self, name: str, text: str, seconds_ago: float = 60) -> None:
        """By rename."""
        new = self.folder / "new"
        new.write_text(text, encoding="utf-8")
        os.utime(new, (time.time() - seconds_ago,) * 2)
        new.rename(self.folder / name)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setenv("REDIS_URL", "redis://redis/0")
    for name in NAMES:
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    return Files(tmp_path)


def test_nothing_is_taken_up_or_asked_while_nothing_has_changed(files: Files) -> None:
    for _ in range(2):
        files.follower.refresh()
    assert (files.taken, files.asked) == ([], 0)


def test_a_change_before_the_first_look_is_taken_up(files: Files) -> None:
    files.write("API_TOKENS", NEW)
    files.follower = SecretFiles(make_settings(API_TOKENS=OLD), files.taken.append)
    files.follower.refresh()
    assert files.taken[-1].api_tokens == (NEW,)


def test_a_file_that_may_still_be_written_to_is_left_for_the_next_time(files: Files) -> None:
    files.write("API_TOKENS", NEW[:10], seconds_ago=0)
    files.follower.refresh()
    assert not files.taken

    files.write("API_TOKENS", NEW)
    files.follower.refresh()
    assert files.taken[-1].api_tokens == (NEW,)


def gone(path: Path) -> None:
    path.unlink()


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff")
    os.utime(path, (0, 0))


def empty(path: Path) -> None:
    path.write_bytes(b"")
    os.utime(path, (0, 0))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    os.utime(path, (0, 0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", [gone, no_text, empty, a_folder])
def test_a_damaged_file_is_named_once_and_does_not_hold_up_the_others(
    files: Files, name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(files.folder / name)
    other = "API_TOKENS" if name != "API_TOKENS" else "SECRET_KEY"
    files.write(other, NEW)
    for _ in range(3):
        files.follower.refresh()

    (error,) = (each.getMessage() for each in caplog.records if each.levelno == logging.ERROR)
    assert f"{name}_FILE" in error
    assert [getattr(each, other.lower()) for each in files.taken] in ([(NEW,)], [NEW])
    expected = getattr(Settings.from_env({each: OLD for each in NAMES}), name.lower())
    assert getattr(files.taken[-1], name.lower()) in (expected, "old")


def test_a_key_that_is_not_set_stays_when_another_secret_changes(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECRET_KEY_FILE")
    settings = Settings.from_env()
    files.follower = SecretFiles(settings, files.taken.append)
    files.write("API_TOKENS", NEW)
    files.follower.refresh()
    assert files.taken[-1].secret_key == settings.secret_key


def test_a_login_is_used_when_redis_accepts_it_and_only_user_and_password_together(
    files: Files, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_files, "ASK_AGAIN_SECONDS", 0)
    files.write("REDIS_USERNAME", "new", seconds_ago=0)
    for _ in range(3):
        files.follower.refresh()
    assert not files.taken
    (error,) = (each.getMessage() for each in caplog.records if each.levelno == logging.ERROR)
    assert "REDIS_USERNAME_FILE" in error and "WRONGPASS" in error and OLD not in error

    files.logins.add(("new", NEW))
    files.write("REDIS_PASSWORD", NEW, seconds_ago=0)
    files.follower.refresh()
    assert [(each.redis_username, each.redis_password) for each in files.taken] == [("new", NEW)]


def test_redis_is_not_asked_about_the_same_refused_login_by_every_request(files: Files) -> None:
    files.write("REDIS_PASSWORD", NEW)
    for _ in range(20):
        files.follower.renew_login()
    assert files.asked == 1


def test_a_login_that_redis_accepts_later_is_used_then(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_files, "ASK_AGAIN_SECONDS", 0)
    files.write("REDIS_PASSWORD", NEW)
    files.follower.refresh()
    files.logins.add(("old", NEW))
    files.follower.refresh()
    assert [each.redis_password for each in files.taken] == [NEW]


def test_signatures_of_the_former_key_are_accepted_for_the_stated_time() -> None:
    app, now = Flask("app"), 0.0
    keys = SigningKeys(app, make_settings(SECRET_KEY=OLD), lambda: now)

    def signed() -> str:
        serializer = SecureCookieSessionInterface().get_signing_serializer(app)
        assert serializer
        return str(serializer.dumps({"user": 1}))

    def accepted(cookie: str) -> bool:
        serializer = SecureCookieSessionInterface().get_signing_serializer(app)
        assert serializer
        return bool(serializer.loads_unsafe(cookie)[0])

    before = signed()
    keys.use(make_settings(SECRET_KEY=NEW, SECRET_KEY_FALLBACK_SECONDS="60"))
    now = 59
    keys.expire()
    assert accepted(before) and accepted(signed())

    now = 60
    keys.expire()
    assert not accepted(before) and accepted(signed())

    keys.use(make_settings(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=OLD))
    assert accepted(before)
