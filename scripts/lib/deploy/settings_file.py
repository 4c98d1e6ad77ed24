"""The line in infrastructure/.env that says which image is in service."""

import os
import re
from pathlib import Path

from . import Problem

LINE = re.compile(r"^WEB_IMAGE=.*$", re.MULTILINE)


def with_image(text: str, reference: str) -> str:
    """The file's text with WEB_IMAGE set, every other line as it was."""
    line = f"WEB_IMAGE={reference}"
    if LINE.search(text):
        return LINE.sub(line, text)
    if text and not text.endswith("\n"):
        text += "\n"
    return f"{text}{line}\n"


def set_image(path: Path, reference: str) -> None:
    """Write the line; a reader meets the old file or the new one. It keeps its mode.

    Raises:
        Problem: the file cannot be written.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        new.unlink(missing_ok=True)
        with open(
            os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w", encoding="utf-8"
        ) as file:
            file.write(with_image(text, reference))
        new.rename(path)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from error
