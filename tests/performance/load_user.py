"""A user of the load test: a realistic mix with far more reads than writes."""

import random
import uuid

from locust import FastHttpUser, between, task

KEYS = [f"load-test-{number}" for number in range(50)]
VALUE = {"name": "Tea", "description": "Green, loose", "quantity": 3, "tags": ["kitchen"]}


class Visitor(FastHttpUser):
    """Waits up to a second between two requests; load_test.py sets `headers` and `writes`."""

    wait_time = between(0.1, 1.0)
    headers: dict[str, str] = {}
    writes = False

    @task(40)
    def read_entry(self) -> None:
        """Existing, missing and already known entries."""
        path = f"/api/v1/cache/{random.choice(KEYS)}"
        with self.client.get(path, name="/api/v1/cache/{key}", catch_response=True) as answer:
            if answer.status_code == 404:
                answer.success()  # expired, or never written by this test
            etag = answer.headers.get("ETag") if answer.status_code == 200 else None
        if etag and random.random() < 0.25:
            known = {"If-None-Match": etag}
            self.client.get(path, name="/api/v1/cache/{key} If-None-Match", headers=known)

    @task(20)
    def list_items(self) -> None:
        """The first page, and sometimes the next."""
        with self.client.get("/api/v1/items?limit=20", name="/api/v1/items") as answer:
            page = answer.json() if answer.status_code == 200 else {}
        if page.get("next_cursor") and random.random() < 0.5:
            cursor = page["next_cursor"]
            self.client.get(
                f"/api/v1/items?limit=20&cursor={cursor}", name="/api/v1/items, next page"
            )

    @task(15)
    def info(self) -> None:
        """The service's version."""
        self.client.get("/api/v1/info")

    @task(5)
    def session(self) -> None:
        """An empty session, which starts none."""
        self.client.get("/api/v1/session")

    @task(10)
    def write_entry(self) -> None:
        """An entry that lives for a minute."""
        if self.writes:
            self.client.put(
                f"/api/v1/cache/{random.choice(KEYS)}?ttl=60",
                json=VALUE,
                headers=self.headers,
                name="/api/v1/cache/{key}",
            )

    @task(5)
    def write_item(self) -> None:
        """Created, read, changed and deleted again."""
        if not self.writes:
            return
        headers = self.headers | {"Idempotency-Key": uuid.uuid4().hex}
        with self.client.post("/api/v1/items", json=VALUE, headers=headers) as created:
            if created.status_code != 201:
                return
            path = f"/api/v1/items/{created.json()['id']}"
        self.client.get(path, name="/api/v1/items/{id}")
        self.client.patch(
            path, json={"quantity": 4}, headers=self.headers, name="/api/v1/items/{id}"
        )
        self.client.delete(path, headers=self.headers, name="/api/v1/items/{id}")
