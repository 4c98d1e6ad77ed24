"""Writes what the chart renders, for reviewers: python scripts/lib/chart_examples.py [FOLDER]

default.yaml is a whole installation; each other file has the objects that differ from it. Of the
files that the chart hands to its servers, only changed lines are shown. Needs helm.
"""

import os
import re
import shutil
import sys
from functools import cache, partial
from pathlib import Path

import yaml
from chart_values import CHART
from command_error import CommandError, output_of, run

# PyYAML's own parser takes most of the time for the dashboards.
load = partial(yaml.load, Loader=yaml.CSafeLoader)

EXAMPLES = CHART.parent / "examples"
FIXED = ("--namespace=demo", "--skip-tests", "--set=existingSecret=web-secrets")
OPTIONS = {
    "default": (),
    "production": (f"--values={CHART}/values-production.yaml",),
    "sentinel": ("--set=redis.mode=sentinel",),
    "gateway": (
        "--set=gateway.enabled=true,gateway.parentRefs[0].name=public",
        "--set=ingress.enabled=true,ingress.hosts[0]=app.example.org,tls.existingSecret=web-tls",
        "--set=trustedProxies[0]=10.244.0.0/16",
    ),
}


def rendered(options: tuple[str, ...]) -> list[str]:
    """The objects, as Helm writes them, without their comments about the chart's files."""
    command = ["helm", "template", "web", str(CHART), *FIXED, *options]
    found = re.split(r"^---\n", output_of(*command), flags=re.MULTILINE)
    return [shorten(text) for text in found if load(text)]


def shorten(text: str) -> str:
    """Without what each release changes, and without the lines of this repository's files."""
    one = load(text)
    if one["kind"] == "PrometheusRule":
        text = re.sub(r"^  groups:\n.*", "  groups: ...\n", text, flags=re.MULTILINE | re.DOTALL)
    for name, content in one.get("data", {}).items():
        own = [line for line in content.splitlines() if line.strip() not in known_lines()]
        shown = "\n    ".join(["|", "...", *own]) if own else "..."
        block = rf"^  {re.escape(name)}:.*\n(?:(?: *|    .*)\n)*"
        shown = f"  {name}: {shown}\n".replace("\\", r"\\")
        text = re.sub(block, shown, text, flags=re.MULTILINE)
    version = load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"]
    text = re.sub(rf"\b{re.escape(version)}\b", "VERSION", text)
    text = re.sub(r"(checksum/.*: ).*", r"\1...", text)
    return re.sub(r"^# Source: .*\n|\s*$(?=\n)", "", text, flags=re.MULTILINE).strip() + "\n"


@cache
def known_lines() -> set[str]:
    """Of the files that the chart hands to its servers; most are links to other folders."""
    paths = (
        Path(folder) / name
        for part in ("files", "scripts")
        for folder, _, names in os.walk(CHART / part, followlinks=True)
        for name in names
    )
    return {line.strip() for path in paths for line in path.read_text(errors="ignore").split("\n")}


def main() -> None:
    if not shutil.which("helm"):
        raise CommandError("helm is missing: https://helm.sh/docs/intro/install/")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    default = rendered(())
    for name, options in OPTIONS.items():
        objects = rendered(options)
        if name != "default":
            objects = [one for one in objects if one not in default]
        (folder / f"{name}.yaml").write_text("---\n".join(objects), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run(main))
