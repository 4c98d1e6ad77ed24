"""Writes files for other users, atomically."""

import os
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, content: bytes, uid: int, gid: int, mode: int) -> None:
    """Replace a file at once: a reader gets the old or the new content."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(handle, "wb") as file:
        file.write(content)
        os.fchmod(handle, mode)  # first: after chown, root has no right to it
        os.fchown(handle, uid, gid)
    temporary.rename(path)


def write_for_owner(path: Path, content: bytes, mode: int) -> None:
    """Write a file for the owner of its folder: on the host, the user who cloned."""
    owner = path.parent.stat()
    write(path, content, owner.st_uid, owner.st_gid, mode)


def deliver(folder: Path, uid: int, files: Mapping[str, bytes]) -> None:
    """Fill a folder with exactly these files, readable by this user only."""
    folder.mkdir(mode=0o755, exist_ok=True)
    for stale in set(folder.iterdir()) - {folder / name for name in files}:
        stale.unlink()
    for name, content in files.items():
        write(folder / name, content, uid, uid, 0o400)


def write_below(folder: Path, name: str, content: bytes, uid: int) -> None:
    """Write a file that everybody may read, and the folders on the way to it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, content, uid, uid, 0o444)


def publish(source: Path, target: Path) -> None:
    """Copy files, readable by all; an unchanged file keeps its date, and so its ETag.

    Nothing is deleted: pages of the previous version may still request their files.
    """
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        copy = target / file.relative_to(source)
        content = file.read_bytes()
        if not copy.exists() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            write(copy, content, 0, 0, 0o644)
