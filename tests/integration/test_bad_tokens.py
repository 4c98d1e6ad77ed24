"""Writing without a right token: refused, and no wrong token is logged."""

import json
import re

import pytest

from tests.integration.refusals import ITEMS, JSON, TOKEN, WRITES, Service, head


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.lower()}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xff\xfe",
        "Bearer " + "x" * 8000,
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.parametrize("write", WRITES)
def test_a_wrong_token_is_a_401_that_names_the_scheme(
    service: Service, write: str, authorization: str | None
) -> None:
    headers = [f"Authorization: {authorization}"] if authorization is not None else []
    body = b'{"name": "Tea"}'

    answer = service.refuse(head(write, JSON, f"Content-Length: {len(body)}", *headers) + body, 401)

    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_no_wrong_token_stands_in_the_log(service: Service) -> None:
    service.refuse(head(f"POST {ITEMS}", "Authorization: Bearer almost-the-right-one"), 401)

    assert not re.search(rf"almost-the-right-one|{TOKEN}", json.dumps(service.lines()))
