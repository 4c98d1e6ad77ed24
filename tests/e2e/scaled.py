"""The monitoring files with every time in them divided, so that a test need not wait for hours."""

import re
import shutil
from pathlib import Path

from tests.support.monitoring import MONITORING

SPEED = 5
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# Of YAML (`for: 2m`), of PromQL (`[5m]`, `offset 1h`), and in the names of recorded windows.
_DURATION = re.compile(r"(?<![\w.])(\d+)([smhd])\b")
# What a program waits for an answer is not a matter of the rules.
_LEFT = re.compile(r"^\s*(- )?(refresh_interval|timeout|resolve_timeout):")


def scaled_monitoring(folder: Path, services: dict[str, str]) -> Path:
    """Write the scaled files into `folder` and return a Compose file that mounts them.

    Args:
        services: for each service whose configuration is scaled, the folder that it mounts.
    """
    lines = ["services:"]
    for service, target in services.items():
        source = MONITORING / Path(target).name
        copy = folder / source.name
        if not copy.exists():
            shutil.copytree(source, copy)
            for path in copy.rglob("*.yml"):
                path.write_text(_scaled(path.read_text(encoding="utf-8")), encoding="utf-8")
            copy.chmod(0o755)
        lines.append(f"  {service}: {{volumes: ['{copy}:{target}:ro']}}")
    overlay = folder / "scaled.yml"
    overlay.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return overlay


def _scaled(text: str) -> str:
    return "\n".join(
        line if _LEFT.match(line) else _DURATION.sub(_shorter, line) for line in text.split("\n")
    )


def _shorter(found: re.Match[str]) -> str:
    milliseconds = int(found[1]) * _UNITS[found[2]] // SPEED
    return f"{milliseconds // 1_000}s" if milliseconds % 1_000 == 0 else f"{milliseconds}ms"
