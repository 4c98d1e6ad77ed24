"""The plot: requests a second of every variant, beside the floor that nothing can be above."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
# pylint: disable=wrong-import-position
from matplotlib import pyplot  # noqa: E402

from tests.performance.figures import Figure  # noqa: E402
from tests.performance.report import KINDS  # noqa: E402
from tests.performance.variants import ALL  # noqa: E402

PEERS = {variant.name for variant in ALL if variant.peer}
PEER, OURS = "#9aa0a6", "#1a73e8"


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the plot; the name's ending says in which format."""
    of = result["throughput"]
    names = [name for name in of if name != "ours again"]
    matplotlib.rcParams["svg.hashsalt"] = "bench"  # the same figures make the same file
    figure, axes = pyplot.subplots(1, len(KINDS), figsize=(11, 0.45 * len(names) + 1.4))
    for axis, (kind, title) in zip(axes, KINDS.items(), strict=True):
        _bars(axis, names, [of[name][kind]["per_second"] for name in names])
        axis.set_title(title)
    figure.suptitle("Through nginx, requests/s; blue: the service, grey: its peers")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=150)
    pyplot.close(figure)


def _bars(axis: Any, names: list[str], found: list[Figure]) -> None:
    medians = [each["median"] for each in found]
    low = [each["median"] - min(each["readings"]) for each in found]
    high = [max(each["readings"]) - each["median"] for each in found]
    colours = [PEER if name in PEERS else OURS for name in names]
    bars = axis.barh(names, medians, xerr=[low, high], color=colours, capsize=3)
    axis.bar_label(bars, labels=[f"{median:,.0f}" for median in medians], padding=6)
    axis.invert_yaxis()
    axis.margins(x=0.2)
    axis.spines[["top", "right"]].set_visible(False)
