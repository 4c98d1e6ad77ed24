"""Head and body of an answer leave in one system call, and nothing gets lost by it."""

from types import SimpleNamespace

import pytest

from app.utils.one_write import MOST_TOGETHER, OneWrite


class Socket:
    """What was sent, call by call."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)


def answer(
    parts: list[bytes], headers: list[tuple[str, str]], method: str = "GET", status: str = "200 OK"
) -> list[bytes]:
    """What leaves for a body of these parts."""
    request = SimpleNamespace(version=(1, 1), method=method, should_close=lambda: False)
    sock = Socket()
    response = OneWrite(request, sock, SimpleNamespace(protocol="http", sendfile=None))
    response.start_response(status, headers)
    for part in parts:
        response.write(part)
    response.close()
    return sock.sent


def test_head_and_body_leave_together() -> None:
    sent, *more = answer([b"hello"], [("Content-Length", "5"), ("X-Name", "caf\xe9")])

    assert not more
    assert sent.startswith(b"HTTP/1.1 200 OK\r\n")
    assert sent.endswith(b"\r\n\r\nhello")
    assert b"X-Name: caf\xe9\r\n" in sent


def test_a_body_in_two_parts_needs_no_third_call() -> None:
    sent = answer([b"hel", b"lo"], [("Content-Length", "5")])

    assert len(sent) == 2
    assert sent[0].endswith(b"\r\n\r\nhel") and sent[1] == b"lo"


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content")])
def test_an_answer_without_a_body_has_its_head(method: str, status: str) -> None:
    sent = b"".join(answer([], [("Content-Length", "5")], method, status))

    assert sent.endswith(b"\r\n\r\n")


def test_a_large_body_is_not_copied() -> None:
    size = MOST_TOGETHER + 1

    sent = answer([b"x" * size], [("Content-Length", str(size))])

    assert sent[0].endswith(b"\r\n\r\n")
    assert [len(part) for part in sent[1:]] == [size]


def test_a_body_of_unknown_length_is_chunked() -> None:
    assert b"".join(answer([b"hello"], [])).endswith(b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
