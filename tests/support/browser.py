"""Chromium from the system's packages, for the tests that look at pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = "NO CHROMIUM FOR THE TESTS OF THE CONSOLE: install the package chromium"

# For a busy machine; usually milliseconds are enough.
TIMEOUT_MS = 20_000


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A browser without a window; each page opened in it starts with no history."""
    expect.set_options(timeout=TIMEOUT_MS)
    # Its sandbox refuses to work for root, whom containers and CI machines often give.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A page as a new visitor sees it; afterwards, no script of it may have failed.

    `options` are those of a browser context, e.g. `color_scheme="dark"`.
    """
    context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if _is_problem(line.text) else None)
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    assert not problems


def _is_problem(line: str) -> bool:
    """The browser also reports answers of 4xx and 5xx, which are not problems of the page."""
    return "Content Security Policy" in line or "Trusted" in line or "Uncaught" in line
