"""More requests than threads: who waits too long is told so at once."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.utils import metrics
from tests.support.processes import wait_until
from tests.support.service import StartService


@pytest.mark.slow
def test_who_has_waited_too_long_is_refused_and_the_rest_served(
    start_service: StartService,
) -> None:
    settings = {"WEB_CONCURRENCY": "1", "WEB_THREADS": "1", "QUEUE_TIMEOUT_SECONDS": "1"}
    with start_service(**settings) as service, ThreadPoolExecutor(8) as pool:
        slow = pool.submit(service.get, "/api/v1/demo/delay/2")
        wait_until(lambda: service.metric(metrics.IN_PROGRESS) == 1, why="it is full")
        early = [
            pool.submit(
                service.put, "/api/v1/cache/late", 1, headers={"X-Request-ID": f"late-{number}"}
            )
            for number in range(4)
        ]
        time.sleep(1.5)
        late = pool.submit(service.get, "/api/v1/info")

        assert slow.result().status_code == 200
        assert late.result().status_code == 200
        for number, each in enumerate(early):
            answer = each.result()
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["X-Request-ID"] == f"late-{number}"
            assert answer.json()["request_id"] == f"late-{number}"
            assert answer.json()["instance"] == "/api/v1/cache/late"
        assert service.get("/api/v1/cache/late").status_code == 404
        assert service.metric(metrics.REQUESTS, status="503", route="unmatched") == 4
