"""The plot: requests a second of every variant through nginx."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
# pylint: disable=wrong-import-position
from matplotlib import pyplot  # noqa: E402

from tests.performance.targets import MEASURES  # noqa: E402
from tests.performance.variants import ALL  # noqa: E402

PEERS = {variant.name for variant in ALL if variant.peer}
PEER, OURS = "#9aa0a6", "#1a73e8"


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the plot; the suffix of `path` chooses the format."""
    of = {name: result["figures"][name] for name in ("redis", "info") if name in result["figures"]}
    if not of:
        raise RuntimeError("nothing to draw: the section throughput was not measured")
    # Text as text, and the same file for the same figures.
    matplotlib.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none"})
    names = [variant.name for variant in ALL if all(variant.name in found for found in of.values())]
    names.remove("ours again")
    figure, axes = pyplot.subplots(1, len(of), figsize=(9, 0.4 * len(names) + 1), squeeze=False)
    for axis, (measure, found) in zip(axes[0], of.items(), strict=True):
        medians = [found[name]["median"] for name in names]
        bars = axis.barh(names, medians, color=[PEER if name in PEERS else OURS for name in names])
        axis.bar_label(bars, labels=[f"{median:,.0f}" for median in medians], padding=4)
        axis.set_title(MEASURES[measure], fontsize=10)
        axis.invert_yaxis()
        axis.margins(x=0.2)
        axis.xaxis.set_visible(False)
        axis.spines[:].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=120)
    pyplot.close(figure)
