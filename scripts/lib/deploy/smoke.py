"""Asks one replica, from inside its container, for a little of everything it is there for.

Runs in the container with the container's Python: deploy.sh hands it this file on standard input.
Arguments: the version and the commit that must answer; empty ones are not compared. Prints the
version on success; says in one line on standard error what is wrong, with exit status 1, if not.
"""

import http.client
import json
import os
import sys
from typing import Any

ADDRESS = ("127.0.0.1", 8000)
ANSWER_SECONDS = 10
KEY = "/api/v1/cache/deploy-smoke-test"


def main(version: str, commit: str) -> None:
    expect("GET", "/health/ready", 200)
    expect("GET", "/health", 200)
    info = expect("GET", "/api/v1/info", 200)
    for name, wanted in (("version", version), ("commit", commit)):
        if wanted and info[name] != wanted:
            sys.exit(f"/api/v1/info says {name} {info[name]}, and the image {wanted}")
    expect("PUT", f"{KEY}?ttl=60", (200, 201, 204), {"from": os.uname().nodename})
    expect("GET", KEY, 200)
    expect("DELETE", KEY, (200, 204))
    expect("GET", "/api/v1/items?limit=1", 200)
    expect("GET", "/api/v1/no-such-address", 404)
    print(info["version"])


def expect(
    method: str, path: str, status: int | tuple[int, ...], body: dict[str, Any] | None = None
) -> Any:
    """Ask once; anything but this status ends the test. Returns the answer's JSON, if it is any."""
    connection = http.client.HTTPConnection(*ADDRESS, timeout=ANSWER_SECONDS)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, headers())
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"{method} {path}: {error}")
    finally:
        connection.close()
    if response.status not in (status if isinstance(status, tuple) else (status,)):
        sys.exit(f"{method} {path} answers {response.status}, and not {status}")
    if "json" not in (response.getheader("Content-Type") or ""):
        return None
    return json.loads(content)


def headers() -> dict[str, str]:
    """As the service's settings demand: one of its names, one of its tokens."""
    found = {"Content-Type": "application/json"}
    if host := os.environ.get("TRUSTED_HOSTS", "").split(",")[0].strip():
        found["Host"] = host
    tokens = os.environ.get("API_TOKENS", "")
    if path := os.environ.get("API_TOKENS_FILE"):
        with open(path, encoding="utf-8") as file:
            tokens = file.read()
    if words := tokens.replace(",", " ").split():
        found["Authorization"] = f"Bearer {words[0]}"
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
