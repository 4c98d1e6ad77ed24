"""Tests one replica from inside its container: health, version, Redis, an error.

deploy.sh hands this file to the container's Python on standard input. Arguments: the version and
the commit that must answer; empty ones are not compared. Prints the version; a failure is one line
on standard error with exit status 1.
"""

import http.client
import json
import os
import sys
from typing import Any

ENTRY = "/api/v1/cache/deploy-smoke-test"


def main(version: str, commit: str) -> None:
    expect("GET", "/health/ready", 200)
    expect("GET", "/health", 200)
    info = expect("GET", "/api/v1/info", 200)
    for name, wanted in (("version", version), ("commit", commit)):
        if wanted and info[name] != wanted:
            sys.exit(f"/api/v1/info says {name} {info[name]}, and the image {wanted}")
    expect("PUT", f"{ENTRY}?ttl=60", 200, 201, 204, body={"from": os.uname().nodename})
    expect("GET", ENTRY, 200)
    expect("DELETE", ENTRY, 200, 204)
    expect("GET", "/api/v1/no-such-address", 404)
    print(info["version"])


def expect(method: str, path: str, *statuses: int, body: dict[str, Any] | None = None) -> Any:
    """Send a request; any other status ends the test. Returns the JSON of the answer, or None."""
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=10)
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers())
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"{method} {path}: {error}")
    if response.status not in statuses:
        sys.exit(f"{method} {path} answers {response.status} instead of {statuses[0]}")
    return json.loads(content) if "json" in (response.getheader("Content-Type") or "") else None


def headers() -> dict[str, str]:
    """One of the host names and one of the tokens that the service accepts."""
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
