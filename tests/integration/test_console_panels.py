"""The console's panels: trying requests, and drills."""

import re
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.app_parts import BEARER, TOKEN
from tests.support.browser import TIMEOUT_MS, visit
from tests.support.service import EMBEDDED, Service, StartService


@pytest.fixture(scope="module")
def service(start_service: StartService) -> Iterator[Service]:
    with start_service(redis=EMBEDDED, API_TOKENS=TOKEN) as running:
        yield running


@pytest.fixture
def page(service: Service, browser: Browser) -> Iterator[Page]:
    with visit(browser, service.base_url, permissions=["clipboard-read"]) as opened:
        opened.locator("#token").fill(TOKEN)
        yield opened


def choose(page: Page, label: str) -> None:
    option = page.locator("#request option", has_text=label)
    page.locator("#request").select_option(option.get_attribute("value"))


def send(page: Page, label: str) -> None:
    choose(page, label)
    with page.expect_response(lambda response: "/api/v1/" in response.url):
        page.get_by_role("button", name="Send", exact=True).click()


def test_a_value_can_be_stored_and_the_token_is_kept_in_memory(
    page: Page, service: Service
) -> None:
    answer = page.locator("#answer-status")
    send(page, "Store a value")
    expect(answer).to_contain_text(re.compile("20[01] "))
    send(page, "Read it")
    expect(answer).to_contain_text("X-Cache-TTL: ")
    expect(page.locator("#answer-body")).to_contain_text('"hello": "world"')
    send(page, "Delete it")
    expect(answer).to_contain_text("204")
    send(page, "Read it")
    expect(answer).to_contain_text("404")

    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert TOKEN not in kept + page.url + page.locator("#curl").inner_text()
    page.goto(service.base_url)
    expect(page.locator("#token")).to_have_value("")


def test_the_answer_shows_time_headers_and_whether_it_came_from_the_cache(page: Page) -> None:
    answer = page.locator("#answer-status")
    for label, shown in (
        ("Create an item", "201"),
        ("List items", "X-Cache: MISS"),
        ("List items", r"^200 OK [\d.]+\sm?s X-Cache: HIT"),
    ):
        send(page, label)
        expect(answer).to_contain_text(re.compile(shown))
    page.get_by_text("Headers").click()
    expect(page.locator("#answer-headers")).to_contain_text("x-request-id")


def test_the_curl_line_does_the_same_whatever_is_in_the_body(page: Page, service: Service) -> None:
    value = """{"it's": "<b>\\"quoted\\"</b> $HOME `id` \\\\ é"}"""
    choose(page, "Store a value")
    page.locator("#name").fill("it~is:odd")
    page.locator("#body").fill(value)

    line = page.locator("#curl").inner_text()
    environment = {"PATH": "/usr/bin:/bin", "API_TOKEN": TOKEN}
    done = subprocess.run(
        ["bash", "-c", line], env=environment, capture_output=True, text=True, check=True
    )

    stored = service.get("/api/v1/cache/it~is:odd")
    assert re.match(r"HTTP/1.1 20[01] ", done.stdout)
    assert stored.json() == {"it's": '<b>"quoted"</b> $HOME `id` \\ é'}


# A label that says what was done is gone after two seconds.
NOTE_LABELS = """() => {
  window.labels = [];
  const note = () => labels.push(document.getElementById("copy").textContent);
  new MutationObserver(note).observe(document.getElementById("copy"), { childList: true });
}"""


def test_the_curl_line_can_be_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(NOTE_LABELS)
    page.get_by_role("button", name="Copy").click()
    page.wait_for_function("labels.includes('Copied')", timeout=TIMEOUT_MS)
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#curl").inner_text()


def test_a_stored_value_is_shown_as_text_and_never_as_html(page: Page) -> None:
    choose(page, "Store a value")
    page.locator("#body").fill('"<b id=injected>bold</b>"')
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#answer-body")).to_contain_text("<b id=injected>bold</b>")
    expect(page.locator("#injected")).to_have_count(0)


def test_a_drill_counts_down_breaks_routes_and_can_be_ended(page: Page, service: Service) -> None:
    page.get_by_label("Errors, % of requests").fill("100")
    page.get_by_role("button", name="Start the drill").click()

    expect(page.locator("#fault-what")).to_have_text("100% errors on /api/v1/items*")
    expect(page.locator("#fault-left")).to_have_text(re.compile(r"^(00:[0-5]\d|01:00) left$"))
    expect(page.locator("#fault-said")).to_have_text("The drill has started.")
    assert service.get("/api/v1/items").status_code == 500

    page.get_by_role("button", name="End it now").click()
    expect(page.locator("#fault-running")).to_be_hidden()
    assert service.get("/api/v1/items").status_code == 200


@pytest.mark.slow
def test_a_drill_started_elsewhere_is_shown_until_it_ends(page: Page, service: Service) -> None:
    fault = {"latency_ms": 20, "route": "/api/v1/info", "duration_seconds": 12}
    service.post("/api/v1/demo/faults", fault, headers=BEARER).raise_for_status()
    expect(page.locator("#fault-what")).to_have_text("20 ms more latency on /api/v1/info")
    expect(page.locator("#fault-running")).to_be_hidden()
    expect(page.locator("#fault-said")).to_have_text("The drill has ended.")


def test_a_drill_without_a_right_token_says_what_is_missing(page: Page) -> None:
    page.locator("#token").fill("wrong")
    page.get_by_role("button", name="Start the drill").click()
    expect(page.locator("#fault-said")).to_contain_text("Send one of the service's API tokens")


def test_without_tokens_it_says_what_is_open(browser: Browser, embedded_service: Service) -> None:
    with visit(browser, embedded_service.base_url) as page:
        expect(page.get_by_text("Writing is open to all")).to_be_visible()
        expect(page.get_by_text("Faults on demand need a token")).to_be_visible()
        expect(page.locator("#fault")).to_be_hidden()
        expect(page.locator("#token")).to_have_count(0)
        send(page, "Store a value")
        expect(page.locator("#answer-status")).to_contain_text("201")
