"""The console at /: one page, in a real browser."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.app_parts import TOKEN
from tests.support.browser import visit
from tests.support.service import EMBEDDED, Service, StartService

AS_A_BROWSER = {"Accept": "text/html"}
SETTINGS = {
    "API_TOKENS": TOKEN,
    "APP_VERSION": "7.8.9",
    "GIT_COMMIT": "0123456789abcdef0123",
    "INSTANCE_ID": "instance-of-the-tests",
    "GRAFANA_URL": "http://grafana.test/",
}


@pytest.fixture(scope="module")
def service(start_service: StartService) -> Iterator[Service]:
    with start_service(redis=EMBEDDED, **SETTINGS) as running:
        yield running


def assert_status_is_shown(page: Page) -> None:
    expect(page.locator("h1")).to_have_text("devops-starter is healthy")
    for field, text in {
        "version": "7.8.9",
        "commit": "0123456789ab",
        "environment": "testing",
        "instance": "instance-of-the-tests",
    }.items():
        expect(page.locator(f"#{field}")).to_have_text(text)
    expect(page.locator("#checks")).to_contain_text("redis embedded")
    expect(page.locator("#checks")).to_contain_text("readiness ready")


def test_it_shows_version_instance_and_health(service: Service, browser: Browser) -> None:
    with visit(browser, service.base_url) as page:
        assert_status_is_shown(page)
        expect(page.locator("#try")).to_be_visible()


def test_without_javascript_it_is_a_plain_status_page(service: Service, browser: Browser) -> None:
    with visit(browser, service.base_url, java_script_enabled=False) as page:
        assert_status_is_shown(page)
        expect(page.get_by_text("Without JavaScript")).to_be_visible()
        expect(page.locator("#console")).to_be_hidden()
        expect(page.get_by_role("link", name="/api/v1/stats").last).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_all_that_a_page_loads_comes_from_this_service(
    service: Service, browser: Browser, path: str
) -> None:
    hosts = set()
    with visit(browser, "about:blank") as page:
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.goto(f"{service.base_url}{path}", wait_until="networkidle")

    assert hosts == {urlsplit(service.base_url).netloc}


def test_its_policy_allows_no_inline_script_or_style_and_the_page_has_none(
    service: Service,
) -> None:
    response = service.get("/", headers=AS_A_BROWSER)

    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy
    assert "unsafe" not in policy and "*" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", response.text)


def test_its_files_may_be_cached_forever_because_their_address_has_their_hash(
    service: Service,
) -> None:
    page = service.get("/", headers=AS_A_BROWSER).text

    files = re.findall(r'"(/static/console/[^"]+)"', page)
    assert len(files) == 2
    assert all(re.search(r"\?v=[0-9a-f]{12}$", file) for file in files)


def test_it_links_to_the_tools_that_are_named_in_the_settings_and_to_no_other(
    service: Service, browser: Browser
) -> None:
    with visit(browser, service.base_url) as page:
        tools = page.get_by_role("navigation", name="Tools").get_by_role("link")
        expect(tools).to_have_text(["API docs", "Grafana"])
        expect(tools.nth(1)).to_have_attribute("href", "http://grafana.test/")


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_the_page_is_not_wider_than_the_window(
    service: Service, browser: Browser, width: int
) -> None:
    with visit(browser, service.base_url, viewport={"width": width, "height": 800}) as page:
        page.locator("#request").select_option(index=4)
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("#answer-status")).to_contain_text("200")
        page.get_by_text("Headers").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_no_violation_of_accessibility(
    service: Service, browser: Browser, scheme: str, width: int
) -> None:
    viewport = {"width": width, "height": 800}
    with visit(browser, service.base_url, color_scheme=scheme, viewport=viewport) as page:
        page.locator("#token").fill(TOKEN)
        page.get_by_role("button", name="Start the drill").click()
        expect(page.locator("#fault-running")).to_be_visible()
        page.locator("#request").select_option(index=0)
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("#answer-status")).to_contain_text("20")
        page.get_by_text("Headers").click()
        page.get_by_role("button", name="Pause").click()

        found = Axe().run(page, options={"resultTypes": ["violations", "incomplete"]})

        page.get_by_role("button", name="End it now").click()
        expect(page.locator("#fault-running")).to_be_hidden()
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_api_docs_are_light_or_dark_as_the_browser_asks(
    service: Service, browser: Browser, scheme: str, dark: bool
) -> None:
    with visit(browser, f"{service.base_url}/docs", color_scheme=scheme) as page:
        expect(page.get_by_text("State of this instance")).to_be_visible()
        brightness = page.get_by_text("State of this instance").evaluate(
            "element => parseInt(getComputedStyle(element).color.match(/\\d+/)[0])"
        )

    assert (brightness > 128) == dark  # of the text


def test_it_can_be_used_with_the_keyboard_alone(service: Service, browser: Browser) -> None:
    with visit(browser, service.base_url) as page:
        expect(page.locator("#console")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        for _ in range(2):
            page.keyboard.press("Tab")
        expect(page.locator("#request")).to_be_focused()
        page.keyboard.press("l")  # the one request that begins with it
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#answer-status")).to_contain_text("200")
