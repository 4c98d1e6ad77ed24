"""The panels: Grafana's Foundation SDK with this project's habits put in.

A panel here always has a title, a description, a unit and words for the case that nothing is
there. Sizes are in Grafana's grid: 24 columns wide, a row of height 1 is 38 pixels.
"""

# Every setting of a panel is an argument, given by name.
# pylint: disable=too-many-arguments,too-many-locals

from collections.abc import Iterable
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common as c, heatmap as hm
from grafana_foundation_sdk.builders import prometheus as prom, stat as st, statetimeline as tl
from grafana_foundation_sdk.builders import table as tb, text as tx, timeseries as ts
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor
from grafana_foundation_sdk.models import common as m
from grafana_foundation_sdk.models import dashboard as d
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from parts import BLUE, DATASOURCE, GREY, Names, Steps, mappings, override, query, thresholds


def stat(
    title: str,
    description: str,
    expr: str,
    *,
    unit: str = "short",
    width: int = 3,
    steps: Steps | None = None,
    names: Names | None = None,
    empty: str = "none",
    decimals: int | None = None,
    line: bool = True,
) -> Any:
    """One number with its recent course behind it. `names` gives words and colours to values."""
    panel = _framed(st.Panel(), title, description, unit=unit, empty=empty, width=width, height=4)
    panel.with_target(query(expr).ref_id("A"))
    panel.reduce_options(c.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.color_mode(m.BigValueColorMode.VALUE).text(c.VizTextDisplayOptions().value_size(30))
    panel.graph_mode(m.BigValueGraphMode.AREA if line else m.BigValueGraphMode.NONE)
    panel.thresholds(thresholds(steps or [(None, BLUE)]))
    panel.mappings(mappings(names or {}, empty))
    if decimals is not None:
        panel.decimals(decimals)
    return panel


def series(
    title: str,
    description: str,
    *queries: prom.Dataquery,
    unit: str = "short",
    width: int = 8,
    height: int = 8,
    stacked: bool = False,
    legend_right: bool = False,
    steps: Steps | None = None,
    lowest: float = 0,
    highest: float | None = None,
    at_least: float = 1e-3,
    colors: dict[str, str] | None = None,
    dashed: Iterable[str] = (),
    empty: str = "none",
    links: Iterable[DashboardLink] = (),
) -> Any:
    """Lines over time; `steps` draws limits as dashed lines, `colors` fixes a series by name.

    The axis reaches up to `at_least`, so that a line at zero lies at its foot.
    """
    panel = _framed(
        ts.Panel(), title, description, unit=unit, empty=empty, width=width, height=height
    )
    for ref, made in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(made.ref_id(ref))
    panel.line_width(1).fill_opacity(45 if stacked else 8).show_points(m.VisibilityMode.NEVER)
    panel.min(lowest).axis_soft_max(at_least)
    if highest is not None:
        panel.max(highest)
    if stacked:
        panel.stacking(c.StackingConfig().mode(m.StackingMode.NORMAL).group("A"))
    panel.legend(
        c.VizLegendOptions()
        .display_mode(m.LegendDisplayMode.LIST)
        .placement(m.LegendPlacement.RIGHT if legend_right else m.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel.tooltip(
        c.VizTooltipOptions().mode(m.TooltipDisplayMode.MULTI).sort(m.SortOrder.DESCENDING)
    )
    if steps:
        panel.thresholds(thresholds(steps))
        panel.thresholds_style(
            c.GraphThresholdsStyleConfig().mode(m.GraphThresholdsStyleMode.DASHED)
        )
    for name, color in (colors or {}).items():
        panel.override_by_name(name, [override("color", {"mode": "fixed", "fixedColor": color})])
    for name in dashed:
        panel.override_by_name(
            name,
            [
                override("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
                override("custom.fillOpacity", 0),
                override("custom.stacking", {"mode": "none", "group": "limit"}),
            ],
        )
    if links:
        panel.data_links(list(links))
    return panel


def bars(
    title: str,
    description: str,
    *queries: prom.Dataquery,
    unit: str = "short",
    width: int = 8,
    height: int = 8,
    steps: Steps | None = None,
    highest: float | None = None,
    decimals: int | None = None,
    empty: str = "none",
) -> Any:
    """One horizontal bar a series, as it stands at the end of the time range."""
    panel = _framed(
        bargauge.Panel(), title, description, unit=unit, empty=empty, width=width, height=height
    )
    for ref, made in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(made.ref_id(ref))
    panel.reduce_options(c.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.orientation(m.VizOrientation.HORIZONTAL).display_mode(m.BarGaugeDisplayMode.BASIC)
    panel.text(c.VizTextDisplayOptions().title_size(14).value_size(18))
    panel.thresholds(thresholds(steps or [(None, BLUE)])).min(0)
    if decimals is not None:
        panel.decimals(decimals)
    if highest is not None:
        panel.max(highest)
    return panel


def states(
    title: str,
    description: str,
    made: prom.Dataquery,
    names: Names,
    *,
    width: int = 12,
    height: int = 8,
    empty: str = "none",
) -> Any:
    """A band a series over time, coloured by what its value means."""
    panel = _framed(
        tl.Panel(), title, description, unit="short", empty=empty, width=width, height=height
    )
    panel.with_target(made.ref_id("A")).mappings(mappings(names, empty))
    panel.show_value(m.VisibilityMode.NEVER).row_height(0.8).fill_opacity(80).line_width(0)
    panel.color_scheme(FieldColor().mode(d.FieldColorModeId.THRESHOLDS))
    panel.thresholds(thresholds([(None, GREY)]))
    panel.legend(
        c.VizLegendOptions()
        .display_mode(m.LegendDisplayMode.LIST)
        .placement(m.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    return panel


def heatmap(
    title: str, description: str, expr: str, *, unit: str = "s", width: int = 8, height: int = 8
) -> Any:
    """How often each bucket of a histogram was met, over time."""
    panel = _framed(
        hm.Panel(), title, description, unit="reqps", empty="none", width=width, height=height
    )
    made = query(expr, "{{le}}").format(PromQueryFormat.HEATMAP).ref_id("A")
    panel.with_target(made).calculate(False)
    panel.y_axis(hm.YAxisConfig().unit(unit).axis_placement(m.AxisPlacement.LEFT))
    panel.color(hm.HeatmapColorOptions().scheme("Blues").steps(32).reverse(False))
    panel.show_legend().cell_gap(1)
    return panel


def table(
    title: str,
    description: str,
    columns: dict[str, tuple[prom.Dataquery, list[d.DynamicConfigValue]]],
    *,
    labels: dict[str, str],
    sort: str,
    width: int = 24,
    height: int = 8,
    first_width: int | None = None,
    empty: str = "none",
    links: Iterable[DashboardLink] = (),
) -> Any:
    """One row for each combination of `labels` (label: heading), one column for each query."""
    panel = _framed(
        tb.Panel(), title, description, unit="short", empty=empty, width=width, height=height
    )
    renamed, order = dict(labels), {label: place for place, label in enumerate(labels)}
    for ref, (heading, (made, properties)) in zip("ABCDEFGH", columns.items(), strict=False):
        panel.with_target(made.format(PromQueryFormat.TABLE).ref_id(ref))
        value = f"Value #{ref}" if len(columns) > 1 else "Value"
        renamed[value], order[value] = heading, len(order)
        panel.override_by_name(heading, properties)
    panel.with_transformation(d.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        d.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True, "__name__": True},
                "includeByName": {},
                "indexByName": order,
                "renameByName": renamed,
            },
        )
    )
    panel.sort_by([c.TableSortByFieldState().display_name(sort).desc(True)])
    first = [override("custom.width", first_width)] if first_width else []
    if links:
        first.append(override("links", [link.build() for link in links]))
    if first:
        panel.override_by_name(next(iter(labels.values())), first)
    return panel


def text(title: str, content: str, *, width: int = 24, height: int = 4) -> Any:
    """Markdown, in which variables are filled in."""
    panel = tx.Panel().title(title).span(width).height(height)
    return panel.mode(TextMode.MARKDOWN).content(content)


def _framed(
    panel: Any, title: str, description: str, *, unit: str, empty: str, width: int, height: int
) -> Any:
    panel.title(title).description(" ".join(description.split())).datasource(DATASOURCE)
    return panel.unit(unit).no_value(empty).span(width).height(height)
