"""A request as services see it, without HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.utils import request_context


@contextmanager
def one_request() -> Iterator[None]:
    """Everything inside belongs to one request, so it shares one time budget."""
    token = request_context.set_current(request_context.RequestContext("an-id", None, "192.0.2.7"))
    try:
        yield
    finally:
        request_context.reset(token)
