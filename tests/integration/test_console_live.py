"""What the console's charts show is what the service does."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import TIMEOUT_MS, visit
from tests.support.load import Load
from tests.support.redis_server import RedisServer
from tests.support.service import Service, StartService


@pytest.fixture
def page(embedded_service: Service, browser: Browser) -> Iterator[Page]:
    with visit(browser, embedded_service.base_url) as opened:
        yield opened


# Keeps the highest number that the heading has shown: a peak is over after two seconds.
WATCH = """chart => {
  const value = document.querySelector(`#${chart} .value`);
  const number = () => parseFloat(value.textContent.replaceAll(",", "")) || 0;
  const peak = () => { value.peak = Math.max(value.peak ?? 0, number()); };
  new MutationObserver(peak).observe(value, { childList: true, subtree: true });
  peak();
}"""


def wait_until_shown(page: Page, chart: str, *, above: float) -> None:
    """Wait until a chart that WATCH observes has shown a number above a limit."""
    page.wait_for_function(
        "([chart, limit]) => document.querySelector(`#${chart} .value`).peak > limit",
        arg=[chart, above],
        timeout=TIMEOUT_MS,
    )


def test_every_chart_has_a_value_a_line_and_tells_time_and_value(page: Page) -> None:
    line = re.compile(r"^M[\d.]+ [\d.]+(L|h)")
    for chart in ("requests", "errors", "latency", "users"):
        expect(page.locator(f"#{chart} .value")).not_to_have_text("–")
        expect(page.locator(f"#{chart} path.line").first).to_have_attribute("d", line)
    page.locator("#users svg").hover()
    expect(page.locator("#users .readout")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\s+\d+$"))


def test_the_requests_shown_are_those_that_were_sent(page: Page, embedded_service: Service) -> None:
    expect(page.locator("#requests .detail")).to_contain_text("in all")
    page.evaluate(WATCH, "requests")

    Load(embedded_service.port, [("GET", "/api/v1/info")], total=400).run()

    # 400 in one or two of the looks, two seconds apart; the page itself asks one or two a second.
    wait_until_shown(page, "requests", above=40)
    counted = embedded_service.get("/api/v1/stats").json()["total"]["requests"]
    in_all = "document.querySelector('#requests .detail').textContent.replaceAll(',', '')"
    page.wait_for_function(f"n => parseInt({in_all}) >= n", arg=counted, timeout=TIMEOUT_MS)


def test_errors_are_shown_as_a_share_of_requests(page: Page, embedded_service: Service) -> None:
    expect(page.locator("#errors .value")).not_to_have_text("–")
    page.evaluate(WATCH, "errors")
    Load(embedded_service.port, [("GET", "/api/v1/demo/status/503")], total=100).run()
    wait_until_shown(page, "errors", above=50)
    expect(page.locator("#endpoints")).to_contain_text("/api/v1/demo/status/<code>")


def test_a_hit_in_the_cache_raises_the_ratio(page: Page, embedded_service: Service) -> None:
    page.evaluate(WATCH, "cache")
    for _ in range(20):
        embedded_service.get("/api/v1/items")
    # The page may have looked in between, when there was no more than the first miss.
    wait_until_shown(page, "cache", above=50)
    expect(page.locator("#cache path.line")).to_have_attribute("d", re.compile("^M"))


@pytest.mark.slow
def test_a_page_that_is_paused_or_gets_no_answer_goes_on_afterwards(page: Page) -> None:
    asked: list[str] = []
    expect(page.locator("#users .value")).not_to_have_text("–")
    page.context.set_offline(True)
    expect(page.locator("#notice")).to_contain_text("does not answer")
    page.context.set_offline(False)
    expect(page.locator("#notice")).to_be_empty()

    page.get_by_role("button", name="Pause").click()
    with page.expect_request("**/api/v1/demo/faults"):
        pass  # what was under way has been answered by the time of the drill's next look
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_request("**/api/v1/demo/faults"):
        pass
    assert all(url.endswith("/faults") for url in asked)

    with page.expect_request("**/api/v1/stats", timeout=TIMEOUT_MS):
        page.get_by_role("button", name="Go on").click()


@pytest.mark.slow
def test_with_redis_unavailable_it_shows_degraded_and_the_reason_for_missing_numbers(
    start_service: StartService, browser: Browser, own_redis: RedisServer
) -> None:
    starting = start_service(redis=own_redis.url, WEB_CONCURRENCY="1")
    with starting as service, visit(browser, service.base_url) as page:
        expect(page.locator("#status")).to_have_text("healthy")

        own_redis.kill()
        expect(page.locator("#status")).to_have_text("degraded")
        expect(page.locator("#checks")).to_contain_text("redis unhealthy")
        expect(page.locator("#notice")).to_contain_text("503")
        own_redis.start()

        expect(page.locator("#status")).to_have_text("healthy")
        expect(page.locator("#notice")).to_be_empty()
