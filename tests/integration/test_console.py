"""The console at /: one page, in a real browser."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.support.app_parts import TOKEN
from tests.support.browser import visit
from tests.support.service import EMBEDDED, Service, StartService

SETTINGS = {
    "API_TOKENS": TOKEN,
    "APP_VERSION": "7.8.9",
    "GIT_COMMIT": "0123456789abcdef0123",
    "INSTANCE_ID": "instance-of-the-tests",
    "GRAFANA_URL": "http://grafana.test/",
    "TRACE_URL": "http://traces.test/trace/TRACE_ID",
    "LOGS_URL": "http://logs.test/#/?q='TRACE_ID'&t=1h",
}


@pytest.fixture(scope="module")
def service(start_service: StartService) -> Iterator[Service]:
    with start_service(redis=EMBEDDED, **SETTINGS) as running:
        yield running


@pytest.mark.parametrize("javascript", [True, False])
def test_it_shows_version_instance_and_health_with_and_without_javascript(
    service: Service, browser: Browser, javascript: bool
) -> None:
    with visit(browser, service.base_url, java_script_enabled=javascript) as page:
        expect(page.locator("h1")).to_have_text("devops-starter is healthy")
        for field, text in {
            "version": "7.8.9",
            "commit": "0123456789ab",
            "environment": "testing",
            "instance": "instance-of-the-tests",
        }.items():
            expect(page.locator(f"#{field}")).to_have_text(text)
        for check in ("redis embedded", "readiness ready"):
            expect(page.locator("#checks")).to_contain_text(check)
        expect(page.locator("#try")).to_be_visible(visible=javascript)
        expect(page.locator("#console")).to_be_visible(visible=javascript)
        expect(page.get_by_text("Without JavaScript")).to_be_visible(visible=not javascript)
        expect(page.get_by_role("link", name="/api/v1/stats").last).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_loads_from_this_service_alone(
    service: Service, browser: Browser, path: str
) -> None:
    hosts = set()
    with visit(browser, "about:blank") as page:
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.goto(f"{service.base_url}{path}", wait_until="networkidle")
    assert hosts == {urlsplit(service.base_url).netloc}


def test_its_policy_allows_no_inline_code_and_its_files_are_cached_forever(
    service: Service,
) -> None:
    response = service.get("/", headers={"Accept": "text/html"})

    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy
    assert "unsafe" not in policy and "*" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", response.text)
    files = re.findall(r'"(/static/console/[^"]+)"', response.text)
    assert len(files) == 2
    assert all(re.search(r"\?v=[0-9a-f]{12}$", file) for file in files)


def test_it_links_to_the_tools_in_the_settings_alone(service: Service, browser: Browser) -> None:
    with visit(browser, service.base_url) as page:
        tools = page.get_by_role("navigation", name="Tools").get_by_role("link")
        expect(tools).to_have_text(["API docs", "Grafana"])
        expect(tools.nth(1)).to_have_attribute("href", "http://grafana.test/")


def test_the_last_requests_id_leads_to_its_trace_and_its_log_lines(
    service: Service, browser: Browser
) -> None:
    with visit(browser, service.base_url) as page:
        links = page.locator("#answer-links")
        expect(links).to_be_hidden()
        page.locator("#request").select_option("GET /api/v1/cache")
        with page.expect_response("**/api/v1/cache") as answer:
            page.get_by_role("button", name="Send", exact=True).click()
        request_id = answer.value.headers["x-request-id"]
        for name, address in {
            "trace": f"http://traces.test/trace/{request_id}",
            "log lines": f"http://logs.test/#/?q='{request_id}'&t=1h",
        }.items():
            expect(links.get_by_role("link", name=name)).to_have_attribute("href", address)


def test_without_addresses_for_traces_the_console_offers_none(
    start_service: StartService, browser: Browser
) -> None:
    with (
        start_service(redis=EMBEDDED) as plain,
        visit(browser, plain.base_url) as page,
    ):
        expect(page.locator("#try")).to_be_visible()
        expect(page.locator("#answer-links")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_the_page_fits_the_window_and_axe_finds_no_violation_of_accessibility(
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
        assert page.evaluate("document.documentElement.scrollWidth") <= width

        found = Axe().run(page, options={"resultTypes": ["violations", "incomplete"]})

        page.get_by_role("button", name="End it now").click()
        expect(page.locator("#fault-running")).to_be_hidden()
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_api_docs_are_light_or_dark(
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
