"""The service as a client meets it: through nginx, with Redis behind it."""

import uuid

import requests

from tests.e2e.stack import Stack, docker


def test_health_names_the_version_and_a_healthy_redis(stack: Stack) -> None:
    answer = requests.get(f"{stack.http}/health", timeout=5)

    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert answer.json()["checks"]["redis"]["status"] == "healthy"


def test_the_image_knows_the_commit_it_was_built_from(stack: Stack) -> None:
    info = requests.get(f"{stack.http}/api/v1/info", timeout=5).json()

    environment = stack.inspect("web")["Config"]["Env"]
    assert f"GIT_COMMIT={info['commit']}" in environment
    assert info["environment"] == "production"


def test_an_item_can_be_made_read_changed_and_deleted(stack: Stack, api: requests.Session) -> None:
    items = f"{stack.http}/api/v1/items"

    made = api.post(items, json={"name": "lamp", "quantity": 2}, timeout=5)
    one = f"{items}/{made.json()['id']}"
    changed = api.patch(
        one, json={"quantity": 3}, headers={"If-Match": made.headers["ETag"]}, timeout=5
    )
    stale = api.patch(
        one, json={"quantity": 4}, headers={"If-Match": made.headers["ETag"]}, timeout=5
    )
    read = api.get(one, timeout=5)
    deleted = api.delete(one, timeout=5)

    assert (made.status_code, changed.status_code, stale.status_code) == (201, 200, 412)
    assert (read.json()["name"], read.json()["quantity"]) == ("lamp", 3)
    assert deleted.status_code == 204
    assert api.get(one, timeout=5).status_code == 404


def test_a_compressed_answers_etag_still_allows_a_change(
    stack: Stack, api: requests.Session
) -> None:
    item = {"name": "long", "description": "d" * 1000}
    made = api.post(f"{stack.http}/api/v1/items", json=item, timeout=5)
    one = f"{stack.http}/api/v1/items/{made.json()['id']}"

    read = api.get(one, headers={"Accept-Encoding": "gzip"}, timeout=5)
    changed = api.patch(
        one, json={"quantity": 1}, headers={"If-Match": read.headers["ETag"]}, timeout=5
    )

    assert read.headers["Content-Encoding"] == "gzip"
    assert changed.status_code == 200


def test_a_cached_value_is_seen_by_every_replica(stack: Stack, api: requests.Session) -> None:
    path = f"/api/v1/cache/{uuid.uuid4().hex}"
    assert api.put(stack.http + path, json={"answer": 42}, timeout=5).status_code == 201
    read = (
        f"from urllib.request import urlopen as u; print(u('http://127.0.0.1:8000{path}').read())"
    )

    replicas = stack.containers("web")

    assert len(replicas) == 2
    assert all("42" in docker("exec", one, "python", "-c", read) for one in replicas)


def test_a_session_cookie_is_kept_over_https(stack: Stack) -> None:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {stack.token}"
        session.trust_env = False  # the environment may name another certificate bundle
        session.verify = str(stack.folder / "certs" / "tls.crt")
        url = f"{stack.https}/api/v1/session"

        started = session.put(url, json={"user": "Ada"}, timeout=5)
        kept = session.get(url, timeout=5)

    assert started.ok, started.text
    assert "Secure" in started.headers["Set-Cookie"] and "HttpOnly" in started.headers["Set-Cookie"]
    assert "Ada" in kept.text
