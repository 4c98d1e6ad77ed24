"""Takes the pictures of the console for the README, from a service under real load.

Usage: python -m tests.support.console_picture      (needs redis-server and chromium; a minute)
"""

import subprocess
import sys

from tests.support.browser import chromium, find_chromium, visit
from tests.support.load import Load
from tests.support.paths import ROOT
from tests.support.redis_server import RedisServer
from tests.support.service import Service

PICTURES = ROOT / "docs" / "images"
TOKEN = "token-for-the-picture-of-the-console"
REQUESTS = [
    *[("GET", "/api/v1/items?limit=5")] * 30,
    *[("GET", "/api/v1/cache/greeting"), ("GET", "/api/v1/session")] * 8,
    *[("GET", "/api/v1/demo/delay/0.03")] * 5,
    ("GET", "/api/v1/demo/status/503"),
]
# Connections at a time and seconds: a quiet start, a busy middle, a calm end.
PHASES = [(2, 10), (6, 15), (10, 13), (4, 16)]


def settings(redis: RedisServer) -> dict[str, str]:
    """Of a service as people run it."""
    command = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {
        "APP_ENV": "development",
        "DRAIN_SECONDS": "0",
        "INSTANCE_ID": "web-1",
        "GIT_COMMIT": commit.strip(),
        "REDIS_URL": redis.url,
        "API_TOKENS": TOKEN,
        "GRAFANA_URL": "http://localhost:3000/",
        "PROMETHEUS_URL": "http://localhost:9090/",
        "ALERTMANAGER_URL": "http://localhost:9093/",
    }


def main() -> int:
    path = find_chromium()
    if path is None or not RedisServer.available():
        sys.exit("error: the pictures need chromium and redis-server")
    redis = RedisServer()
    redis.start()
    size = {"width": 1280, "height": 1060}
    try:
        with Service(settings(redis)) as server, chromium(path) as browser:
            with (
                visit(browser, server.base_url, viewport=size, color_scheme="light") as light,
                visit(browser, server.base_url, viewport=size, color_scheme="dark") as dark,
            ):
                for page in (light, dark):
                    page.locator("#token").fill(TOKEN)
                    page.locator("#request").select_option(index=5)
                    page.get_by_role("button", name="Send", exact=True).click()
                for connections, seconds in PHASES:
                    with Load(server.port, REQUESTS, connections=connections, pause=0.25):
                        light.wait_for_timeout(seconds * 1000)
                for page, name in ((light, "light"), (dark, "dark")):
                    page.locator("#request").select_option(index=4)
                    page.get_by_role("button", name="Send", exact=True).click()
                    page.get_by_text("X-Cache: ").wait_for()
                    page.evaluate("scrollTo(0, 0)")
                    page.screenshot(path=PICTURES / f"console-{name}.png")
    finally:
        redis.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
