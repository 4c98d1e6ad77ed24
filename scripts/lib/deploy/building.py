"""Building the image of the clone's own version."""

import re
import subprocess
from datetime import UTC, datetime

from . import ROOT, Problem
from .engine import Engine
from .images import Image, pinned

BUILD_SECONDS = 900


def build(engine: Engine) -> Image:
    """Build the clone's own version."""
    reference, commit = name_for_build()
    engine.compose(
        *("build", "--quiet", "web"),
        seconds=BUILD_SECONDS,
        environment={
            "WEB_IMAGE": reference,
            "APP_VERSION": version_of_the_clone(),
            "GIT_COMMIT": commit,
            "BUILD_DATE": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    )
    return pinned(engine, reference)


def name_for_build() -> tuple[str, str]:
    """Name and commit for an image of the clone as it is, uncommitted changes included."""
    commit = _git("rev-parse", "HEAD")
    name = f"devops-starter:{version_of_the_clone()}"
    if not commit:
        return name, "unknown"
    changed = "-changed" if _git("status", "--porcelain", "--", "app", "docker") else ""
    return f"{name}-{commit[:7]}{changed}", commit + changed


def version_of_the_clone() -> str:
    text = (ROOT / "app" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if not match:
        raise Problem('app/__init__.py lacks the line __version__ = "…"')
    return match[1]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
