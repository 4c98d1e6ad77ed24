"""Enough of PromQL to know which metrics and labels an expression names."""

import re
from dataclasses import dataclass, field

# Variables and templates are replaced by a name that parses.
_FILLED = re.compile(r"\$__\w+|\$\{?\w+(?::\w+)?\}?|\{\{.*?\}\}")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_GROUPING = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", re.IGNORECASE
)
_SELECTOR = re.compile(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?![\w:])(?!\s*\()\s*(\{[^{}]*\})?")
_DURATION = re.compile(r"\[[^\]]*\]")
_KEYWORDS = set("and or unless bool offset by on without ignoring inf nan".split())


@dataclass
class Expression:
    """The names in one expression."""

    selectors: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    """Each metric with the labels that its matchers name."""

    @property
    def metrics(self) -> set[str]:
        return {name for name, _ in self.selectors}


def parse(text: str) -> Expression:
    """Read an expression; text inside strings and durations is not looked at."""
    found = Expression()
    rest = _DURATION.sub(" ", _STRING.sub('""', _FILLED.sub("x1", text)))
    rest = re.sub(r"\boffset\s+-?\w+", " ", rest)
    for name, matchers in _SELECTOR.findall(_GROUPING.sub(" ", rest)):
        if name.lower() in _KEYWORDS or re.fullmatch(r"x1|[\d.]+[smhdwy]?|e\d*", name):
            continue
        labels = re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)", matchers)
        found.selectors.append((name, frozenset(labels)))
    return found
