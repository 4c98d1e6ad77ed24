"""Enough of PromQL to know which metrics, labels and windows an expression names."""

import re
from dataclasses import dataclass, field

from tests.support.monitoring import seconds

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


def memory(text: str) -> list[int]:
    """For how many seconds an alert's expression may stay true after its cause has ended.

    One number for each operand of `or`. Of operands of `and`, the shortest window decides. A
    recorded metric has its window in its name; windows of windows add up.
    """
    return [min(map(_windows, _split(each, "and|unless"))) for each in _split(text, "or")]


def _windows(text: str) -> int:
    """The longest window in the selectors, and the longest in the names of recorded metrics."""
    given = re.findall(r"\[(\w+)\]", text)
    recorded = re.findall(r":\w*?(\d+[smhd])\b", text)
    return sum(max(map(seconds, found), default=0) for found in (given, recorded))


def _split(text: str, operators: str) -> list[str]:
    """The operands outside of parentheses, or directly inside of those around the whole."""
    parts, depth, start = [], 0, 0
    outside = 1 if operators != "or" and text.startswith("(") and text.endswith(")") else 0
    for found in re.finditer(rf"[()]|\b(?:{operators})\b", text):
        if found[0] in "()":
            depth += 1 if found[0] == "(" else -1
        elif depth == outside:
            parts.append(text[start : found.start()].strip())
            start = found.end()
    return [*parts, text[start:].strip()]
