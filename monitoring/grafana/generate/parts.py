"""What panels are made of: queries, thresholds, names for values, links, overrides."""

from typing import Any

from grafana_foundation_sdk.builders import prometheus as prom
from grafana_foundation_sdk.builders.dashboard import DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.models import dashboard as d

DATASOURCE = d.DataSourceRef(type_val="prometheus", uid="prometheus")

GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"
GREY = "#a7adb9"
Steps = list[tuple[float | None, str]]
Names = dict[str, tuple[str, str]]


def query(expr: str, legend: str = "", *, instant: bool = False) -> prom.Dataquery:
    """A query over the time range, or at its end."""
    made = prom.Dataquery().expr(" ".join(expr.split())).legend_format(legend or "__auto")
    return made.instant() if instant else made.range()


def good_below(warn: float, bad: float) -> Steps:
    """Thresholds for what should be small."""
    return [(None, GREEN), (warn, ORANGE), (bad, RED)]


def good_above(bad: float, warn: float) -> Steps:
    """Thresholds for what should be large."""
    return [(None, RED), (bad, ORANGE), (warn, GREEN)]


def thresholds(steps: Steps) -> ThresholdsConfig:
    made = [d.Threshold(value=value, color=color) for value, color in steps]
    return ThresholdsConfig().mode(d.ThresholdsMode.ABSOLUTE).steps(made)


def mappings(names: Names, empty: str) -> list[d.ValueMapping]:
    """Words and colours for values, and `empty` for 0/0."""
    options = {
        value: d.ValueMappingResult(text=word, color=color, index=place)
        for place, (value, (word, color)) in enumerate(names.items())
    }
    nothing = d.SpecialValueMap(
        options=d.DashboardSpecialValueMapOptions(
            match=d.SpecialValueMatch.NULL_AND_NAN, result=d.ValueMappingResult(text=empty)
        )
    )
    return [*([d.ValueMap(options=options)] if options else []), nothing]


def link(title: str, url: str) -> DashboardLink:
    """A link that a series or a table's cell carries."""
    return DashboardLink(title).url(url).target_blank(False)


def override(name: str, value: object) -> d.DynamicConfigValue:
    """One property that a named series or column has instead of the panel's."""
    return d.DynamicConfigValue(id_val=name, value=value)


def column(
    unit: str, *, steps: Steps | None = None, decimals: int | None = None
) -> list[d.DynamicConfigValue]:
    """A column's unit; with `steps` its text takes their colours."""
    found: list[Any] = [override("unit", unit)]
    if decimals is not None:
        found.append(override("decimals", decimals))
    if steps:
        found.append(override("thresholds", thresholds(steps).build()))
        found.append(override("custom.cellOptions", {"type": "color-text"}))
    return found
