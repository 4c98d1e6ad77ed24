"""Host names to addresses, within a time limit.

`getaddrinfo` cannot be interrupted, and waits up to 20 s for a DNS server that does not answer. So
it runs in a thread of its own; callers that ask for the same name meanwhile share its result.
"""

import os
import socket
import threading
from concurrent.futures import Future

_lock = threading.Lock()
# By process as well: a worker must not wait for a thread of the process that it was forked from.
_in_flight: dict[tuple[int, str], Future[list[str]]] = {}


def addresses(host: str, seconds: float) -> list[str]:
    """The numeric addresses of `host`.

    Raises:
        OSError: there is no such name, or no answer within `seconds`.
    """
    if _is_numeric(host):
        return [host]
    key = os.getpid(), host
    with _lock:
        lookup = _in_flight.get(key)
        if lookup is None:
            lookup = _in_flight[key] = Future()
            # A daemon: the end of the process does not wait for it.
            threading.Thread(target=_look_up, args=(key, lookup), daemon=True).start()
    try:
        return lookup.result(seconds)
    except TimeoutError:
        raise OSError(f"no answer from DNS about {host}") from None


def _look_up(key: tuple[int, str], lookup: Future[list[str]]) -> None:
    try:
        found = socket.getaddrinfo(key[1], None, type=socket.SOCK_STREAM)
        lookup.set_result([str(address[0]) for *_, address in found])
    except (OSError, UnicodeError) as error:
        lookup.set_exception(OSError(f"{error}"))
    finally:
        with _lock:
            del _in_flight[key]


def _is_numeric(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
            return True
        except OSError:
            continue
    return False
