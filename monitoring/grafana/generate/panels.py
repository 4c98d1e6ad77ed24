"""The panels: Grafana's Foundation SDK with this project's defaults.

A panel always has a title, a description, a unit and a text for "no data". Sizes are in Grafana's
grid: 24 columns; a row of height 1 is 38 pixels. `queries` map a series' legend to its expression.
bound.py binds every expression to this service.
"""

# Every setting of a panel is an argument, given by name.
# pylint: disable=too-many-arguments,too-many-locals,too-many-positional-arguments

from collections.abc import Iterable, Mapping
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common as c, heatmap as hm
from grafana_foundation_sdk.builders import prometheus as prom, stat as st, statetimeline as tl
from grafana_foundation_sdk.builders import table as tb, text as tx, timeseries as ts
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models import common as m
from grafana_foundation_sdk.models import dashboard as d
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from monitoring.grafana.generate.bound import bound

DATASOURCE = d.DataSourceRef(type_val="prometheus", uid="prometheus")

GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"
GREY = "#a7adb9"
STATUS_COLORS = {"2xx": GREEN, "3xx": BLUE, "4xx": ORANGE, "5xx": RED}
QUANTILE_COLORS = {"p50": GREEN, "p95": YELLOW, "p99": RED}
Steps = list[tuple[float | None, str]]
Names = Mapping[str, tuple[str, str]]
Queries = Mapping[str, str]
Column = tuple[str, list[d.DynamicConfigValue]]
NO_DATA = "no data"
IDLE = "idle, or no data"  # of a query without a value when there is nothing to measure


def good_below(warn: float, bad: float) -> Steps:
    """Thresholds of a value that should be small."""
    return [(None, GREEN), (warn, ORANGE), (bad, RED)]


def good_above(bad: float, warn: float) -> Steps:
    """Thresholds of a value that should be large."""
    return [(None, RED), (bad, ORANGE), (warn, GREEN)]


def limit(value: float) -> Steps:
    """A single threshold."""
    return [(None, GREEN), (value, RED)]


def rate(counter: str) -> str:
    """Its increase per second, over as much time as the panel's resolution asks for."""
    return f"rate({counter}[$__rate_interval])"


def quantiles(buckets: str) -> dict[str, str]:
    """p50, p95 and p99 of a histogram's rates, summed by `le`; no value without requests."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {name: f"histogram_quantile({q}, {buckets}) >= 0" for name, q in shares.items()}


def or_zero(expr: str, source: str) -> str:
    """Zero where the expression gives nothing, but only while its source answers."""
    return f"{expr} or 0 * {source}"


def link(title: str, url: str) -> DashboardLink:
    """A link of a series or of a table's cell."""
    return DashboardLink(title).url(url).target_blank(False)


def stat(
    title: str,
    description: str,
    expr: str,
    unit: str = "short",
    *,
    width: int = 3,
    steps: Steps | None = None,
    names: Names | None = None,
    idle: tuple[str, str] | None = None,
    decimals: int | None = None,
) -> Any:
    """One number: the value at the end of the time range, never one from before an outage.

    `names` gives words and colours to values. `idle` is a word for "nothing to measure", and an
    expression that has a value while the source answers.
    """
    panel = _framed(st.Panel(), title, description, unit, NO_DATA, width, 4)
    word, source = idle or (NO_DATA, "")
    _values_at_the_end(panel, {"": f"{expr} or NaN * {source}" if source else expr}, decimals)
    panel.color_mode(m.BigValueColorMode.VALUE).text(c.VizTextDisplayOptions().value_size(30))
    panel.graph_mode(m.BigValueGraphMode.NONE).thresholds(_thresholds(steps or [(None, BLUE)]))
    return panel.mappings(_mappings(names or {}, RED if steps or names else GREY, word))


def series(
    title: str,
    description: str,
    queries: Queries,
    unit: str = "short",
    *,
    width: int = 8,
    height: int = 8,
    stacked: bool = False,
    legend_right: bool = False,
    steps: Steps | None = None,
    lowest: float = 0,
    highest: float | None = None,
    at_least: float = 1e-3,
    colors: Mapping[str, str] | None = None,
    dashed: str | None = None,
    empty: str = NO_DATA,
    links: Iterable[DashboardLink] = (),
    exemplars: str = "",
) -> Any:
    """Lines over time; `steps` and the series `dashed` are dashed limits, `colors` by legend.

    The axis reaches at least up to `at_least`, so that a line at zero is at its bottom. Traced
    requests that the buckets `exemplars` have counted are dots.
    """
    panel = _framed(ts.Panel(), title, description, unit, empty, width, height)
    _targets(panel, queries)
    panel.line_width(1).fill_opacity(45 if stacked else 8).show_points(m.VisibilityMode.NEVER)
    panel.min(lowest).axis_soft_max(at_least)
    if highest is not None:
        panel.max(highest)
    if stacked:
        panel.stacking(c.StackingConfig().mode(m.StackingMode.NORMAL).group("A"))
    panel.legend(_legend(m.LegendPlacement.RIGHT if legend_right else m.LegendPlacement.BOTTOM))
    tooltip = c.VizTooltipOptions().mode(m.TooltipDisplayMode.MULTI)
    panel.tooltip(tooltip.sort(m.SortOrder.DESCENDING))
    if steps:
        style = c.GraphThresholdsStyleConfig().mode(m.GraphThresholdsStyleMode.DASHED)
        panel.thresholds(_thresholds(steps)).thresholds_style(style)
    for name, color in (colors or {}).items():
        panel.override_by_name(name, [_override("color", {"mode": "fixed", "fixedColor": color})])
    if dashed:
        properties = [
            _override("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
            _override("custom.fillOpacity", 0),
            _override("custom.stacking", {"mode": "none", "group": "limit"}),
        ]
        panel.override_by_name(dashed, properties)
    if links:
        panel.data_links(list(links))
    if exemplars:
        _dots(panel, exemplars)
    return panel


def bars(
    title: str,
    description: str,
    queries: Queries,
    unit: str = "short",
    *,
    width: int = 8,
    height: int = 8,
    steps: Steps | None = None,
    steps_of: Mapping[str, Steps] | None = None,
    highest: float | None = None,
    decimals: int | None = None,
) -> Any:
    """One horizontal bar a series: its value at the end of the time range.

    `steps_of` are thresholds by legend, `steps` those of the others.
    """
    panel = _framed(bargauge.Panel(), title, description, unit, NO_DATA, width, height)
    _values_at_the_end(panel, queries, decimals)
    panel.orientation(m.VizOrientation.HORIZONTAL).display_mode(m.BarGaugeDisplayMode.BASIC)
    panel.text(c.VizTextDisplayOptions().value_size(18))
    panel.thresholds(_thresholds(steps or [(None, BLUE)])).min(0)
    for name, own in (steps_of or {}).items():
        panel.override_by_name(name, [_override("thresholds", _thresholds(own).build())])
    if highest is not None:
        panel.max(highest)
    return panel


def states(
    title: str,
    description: str,
    queries: Queries,
    names: Names,
    *,
    width: int = 12,
    height: int = 8,
) -> Any:
    """One band a series over time, in the colours of its values."""
    panel = _framed(tl.Panel(), title, description, "short", NO_DATA, width, height)
    _targets(panel, queries)
    panel.mappings(_mappings(names))
    panel.show_value(m.VisibilityMode.NEVER).row_height(0.8).fill_opacity(80).line_width(0)
    panel.color_scheme(FieldColor().mode(d.FieldColorModeId.THRESHOLDS))
    return panel.thresholds(_thresholds([(None, GREY)])).legend(_legend(m.LegendPlacement.BOTTOM))


def heatmap(
    title: str, description: str, expr: str, exemplars: str, *, width: int = 8, height: int = 8
) -> Any:
    """The rate of each bucket of a histogram in seconds, over time; `exemplars` as in `series`."""
    panel = _framed(hm.Panel(), title, description, "reqps", NO_DATA, width, height)
    made = _query(expr, "{{le}}").format(PromQueryFormat.HEATMAP).ref_id("A")
    panel.with_target(made).calculate(False)
    _dots(panel, exemplars)
    panel.y_axis(hm.YAxisConfig().unit("s").axis_placement(m.AxisPlacement.LEFT))
    panel.color(hm.HeatmapColorOptions().scheme("Blues").steps(32).reverse(False))
    return panel.show_legend().cell_gap(1)


def table(
    title: str,
    description: str,
    columns: Mapping[str, Column],
    *,
    labels: Mapping[str, str],
    sort: str,
    descending: bool = True,
    width: int = 24,
    height: int = 8,
    cells: Mapping[str, list[d.DynamicConfigValue]] | None = None,
    empty: str = NO_DATA,
) -> Any:
    """One row for each combination of `labels` (label: heading), one column for each query.

    `cells` are properties of a label's column, by its heading.
    """
    panel = _framed(tb.Panel(), title, description, "short", empty, width, height)
    renamed, order = dict(labels), {label: place for place, label in enumerate(labels)}
    for ref, (heading, (expr, properties)) in zip(ascii_uppercase, columns.items(), strict=False):
        made = _query(expr, instant=True).format(PromQueryFormat.TABLE)
        panel.with_target(made.ref_id(ref)).override_by_name(heading, properties)
        value = f"Value #{ref}" if len(columns) > 1 else "Value"
        renamed[value], order[value] = heading, len(order)
    organized = {
        "excludeByName": {"Time": True, "__name__": True},
        "includeByName": {},
        "indexByName": order,
        "renameByName": renamed,
    }
    panel.with_transformation(d.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(d.DataTransformerConfig(id_val="organize", options=organized))
    panel.sort_by([c.TableSortByFieldState().display_name(sort).desc(descending)])
    for heading, properties in (cells or {}).items():
        panel.override_by_name(heading, properties)
    return panel


def cell(
    width: int, links: Iterable[DashboardLink] = (), names: Names | None = None
) -> list[d.DynamicConfigValue]:
    """Properties of a label's column: width in pixels, links, words and colours of its values."""
    found: list[Any] = [_override("custom.width", width), _override("noValue", "–")]
    found.append(_override("links", [each.build() for each in links]))
    if names:
        found.append(_override("mappings", _mappings(names)))
        found.append(_override("custom.cellOptions", {"type": "color-text"}))
    return found


def column(
    expr: str, unit: str = "short", *, steps: Steps | None = None, decimals: int | None = None
) -> Column:
    """A table's column: expression and unit; with `steps` its text has their colours."""
    found: list[Any] = [_override("unit", unit)]
    if decimals is not None:
        found.append(_override("decimals", decimals))
    if steps:
        found.append(_override("thresholds", _thresholds(steps).build()))
        found.append(_override("custom.cellOptions", {"type": "color-text"}))
    return expr, found


def text(title: str, content: str, *, width: int = 24, height: int = 4) -> Any:
    """Markdown, in which variables are replaced."""
    panel = tx.Panel().title(title).span(width).height(height)
    return panel.mode(TextMode.MARKDOWN).content(content)


def _framed(
    panel: Any, title: str, description: str, unit: str, empty: str, width: int, height: int
) -> Any:
    panel.title(title).description(" ".join(description.split())).datasource(DATASOURCE)
    return panel.unit(unit).no_value(empty).span(width).height(height)


def _query(expr: str, legend: str = "", *, instant: bool = False) -> prom.Dataquery:
    """A query over the time range, or at its end."""
    made = prom.Dataquery().expr(bound(" ".join(expr.split()))).legend_format(legend or "__auto")
    return made.instant() if instant else made.range()


def _targets(panel: Any, queries: Queries, *, instant: bool = False) -> None:
    for ref, (legend, expr) in zip(ascii_uppercase, queries.items(), strict=False):
        panel.with_target(_query(expr, legend, instant=instant).ref_id(ref))


def _dots(panel: Any, buckets: str) -> None:
    """The exemplars of buckets. Grafana asks Prometheus for those of a query's selectors.

    A recorded series has none, so this selects the buckets themselves; as a query it is empty.
    """
    panel.with_target(_query(f"{buckets} < 0").exemplar(True).ref_id("X"))


def _values_at_the_end(panel: Any, queries: Queries, decimals: int | None) -> None:
    _targets(panel, queries, instant=True)
    panel.reduce_options(c.ReduceDataOptions().calcs(["last"]))
    if decimals is not None:
        panel.decimals(decimals)


def _legend(placement: m.LegendPlacement) -> c.VizLegendOptions:
    legend = c.VizLegendOptions().display_mode(m.LegendDisplayMode.LIST)
    return legend.placement(placement).show_legend(True)


def _thresholds(steps: Steps) -> ThresholdsConfig:
    made = [d.Threshold(value=value, color=color) for value, color in steps]
    return ThresholdsConfig().mode(d.ThresholdsMode.ABSOLUTE).steps(made)


def _mappings(names: Names, absent: str = GREY, idle: str = NO_DATA) -> list[d.ValueMapping]:
    """Words and colours for values; "no data" in the colour `absent`, and `idle` for NaN."""
    options = {
        value: d.ValueMappingResult(text=word, color=color, index=place)
        for place, (value, (word, color)) in enumerate(names.items())
    }
    found: list[d.ValueMapping] = [d.ValueMap(options=options)] if options else []
    special = ((d.SpecialValueMatch.NULL, NO_DATA, absent), (d.SpecialValueMatch.NA_N, idle, GREY))
    for match, word, color in special:
        result = d.ValueMappingResult(text=word, color=color)
        nothing = d.DashboardSpecialValueMapOptions(match=match, result=result)
        found.append(d.SpecialValueMap(options=nothing))
    return found


def _override(name: str, value: object) -> d.DynamicConfigValue:
    """A property that a named series or column has instead of the panel's."""
    return d.DynamicConfigValue(id_val=name, value=value)
