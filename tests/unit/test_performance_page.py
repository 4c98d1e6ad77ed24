"""docs/PERFORMANCE.md says what docs/performance.json says."""

import json
import re

from tests.performance import page, report


def test_the_page_is_what_the_bench_writes_into_it() -> None:
    result = json.loads(page.RESULT.read_text(encoding="utf-8")) if page.RESULT.exists() else {}
    text = page.PAGE.read_text(encoding="utf-8")

    assert text == page.filled(text, result)


def test_every_table_of_the_report_has_its_place_on_the_page() -> None:
    slots = {name for _, name, _ in page.SLOT.findall(page.PAGE.read_text(encoding="utf-8"))}

    assert slots == {"machine", "targets", "plot", "nginx", *report.SECTIONS}


def test_what_stood_in_a_slot_is_replaced_and_nothing_else() -> None:
    verdict = {"name": "speed", "value": 2.0, "target": "≥ 1", "ok": True}
    old = "A\n<!-- bench: targets -->\nold\n<!-- /bench -->\nB\n"

    new = page.filled(old, {"targets": [verdict]})

    assert re.fullmatch(
        r"A\n<!-- bench: targets -->\n.*speed +\| ≥ 1 +\| 2\.00 +\| yes +\| +\|\n"
        r".*<!-- /bench -->\nB\n",
        new,
        re.DOTALL,
    )
    assert page.filled(new, {"targets": [verdict]}) == new
