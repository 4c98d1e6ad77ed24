"""Bearer tokens."""

import pytest

from app.http.auth import TokenAuth
from app.http.problems import Problem

FIRST, SECOND = "A7mQ2xLw9Zt4VbN6rK1sYh3D", "Zt4VbN6rK1sYh3DA7mQ2xLw9"


@pytest.fixture
def auth() -> TokenAuth:
    return TokenAuth((FIRST, SECOND))


@pytest.mark.parametrize(
    "header", [f"Bearer {FIRST}", f"Bearer {SECOND}", f"bearer {FIRST}", f"Bearer  {FIRST} "]
)
def test_each_of_the_tokens_is_accepted(auth: TokenAuth, header: str) -> None:
    auth.require(header)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer ", f"Bearer {FIRST[:-1]}", f"Bearer {FIRST},{SECOND}"]
    + [f"Bearer {FIRST.lower()}", f"Basic {FIRST}", "Bearer \xff\xfe"],
)
def test_anything_else_is_a_401_that_names_the_scheme(auth: TokenAuth, header: str) -> None:
    with pytest.raises(Problem) as caught:
        auth.require(header)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_token_is_compared_always(auth: TokenAuth, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(offered: bytes, own: bytes) -> bool:
        compared.append(own)
        return offered == own

    monkeypatch.setattr("app.http.auth.hmac.compare_digest", compare)

    auth.require(f"Bearer {FIRST}")

    assert compared == [FIRST.encode(), SECOND.encode()]
