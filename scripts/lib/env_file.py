"""Files of NAME=value lines, such as infrastructure/.env."""

import os
import re
from pathlib import Path

from command_error import CommandError


def read(path: Path) -> dict[str, str]:
    """The variables of a file, without quotes; none if there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs if name.strip()}


def set_value(path: Path, name: str, value: str) -> None:
    """Replace or add one line. Readers see the old file or the new one; its mode is kept.

    Raises:
        CommandError: the file cannot be written.
    """
    line, existing = f"{name}={value}", re.compile(rf"^{name}=.*$", re.MULTILINE)
    new = path.with_name(f".{path.name}.new")
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        if existing.search(text):
            text = existing.sub(line, text)
        else:
            text += f"{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"
        new.unlink(missing_ok=True)
        with open(
            os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        new.rename(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
