"""What survives `down` and `up`."""

import pytest
import requests

from tests.e2e.stack import Stack


@pytest.mark.slow
def test_items_and_secrets_survive_down_and_up(stack: Stack, api: requests.Session) -> None:
    made = [
        api.post(f"{stack.http}/api/v1/items", json={"name": f"kept {number}"}, timeout=5)
        for number in range(50)
    ]
    changed = api.patch(
        f"{stack.http}/api/v1/items/{made[0].json()['id']}", json={"quantity": 7}, timeout=5
    )
    secrets = stack.secrets()

    api.close()  # nginx lets idle connections be for a while when it stops
    stack.compose("down")
    stack.up()

    assert changed.status_code == 200
    assert stack.secrets() == secrets
    urls = [f"{stack.http}/api/v1/items/{one.json()['id']}" for one in made]
    kept = [requests.get(url, timeout=5) for url in urls]
    assert [one.status_code for one in kept] == [200] * 50
    assert kept[0].json()["quantity"] == 7
