"""From the chart before this one, with yesterday's values, to this one: nothing is lost."""

import json
import time
from pathlib import Path

import pytest

from tests.e2e.cluster import CHART, installed, load_images
from tests.e2e.load import MixedLoad
from tests.support.paths import ROOT
from tests.support.processes import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# What it is made of: its files/ are links.
SOURCES = ("infrastructure/helm", "docker", "monitoring")


def test_an_upgrade_from_the_chart_before_loses_no_request(tmp_path: Path) -> None:
    load_images()
    with installed(tmp_path, "e2e-upgrade", chart=_chart_before(tmp_path)) as release:
        secret = release.get("secret", release.fullname, "-o", "jsonpath={.data.api_token}")
        (redis,) = release.objects("pods", "redis")
        release.chart = CHART
        with MixedLoad(release, rate=60, repeats=True) as mixed:
            time.sleep(2)
            release.upgrade()
            time.sleep(3)

        print(json.dumps(mixed.summary(), indent=1))
        (now,) = release.objects("pods", "redis")
        replaced = now["metadata"]["uid"] != redis["metadata"]["uid"]
        assert not (mixed.failures_not_of_redis if replaced else mixed.failures)
        assert mixed.lost_items() == set()
        assert release.get("secret", release.fullname, "-o", "jsonpath={.data.api_token}") == secret


def _chart_before(folder: Path) -> Path:
    """That of the last release, or, before the first one, of the commit before its last change."""
    tag = _git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD~1")
    changes = _git("log", "--format=%H", "-2", "--", str(CHART)).split()
    if not tag and len(changes) < 2:
        pytest.skip("NO HISTORY: this clone has no commit with the chart before this one")
    archive = folder / "before.tar"
    _git("archive", "--output", str(archive), tag or changes[1], *SOURCES)
    run(["tar", "-xf", archive], cwd=folder)
    return folder / CHART.relative_to(ROOT)


def _git(*arguments: str) -> str:
    return run(["git", *arguments]).stdout.strip()
