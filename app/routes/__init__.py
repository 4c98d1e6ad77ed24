"""HTTP in, HTTP out: each module translates requests into calls of services and back."""

from typing import Any, TypeVar

from flask import current_app

T = TypeVar("T")


def service(kind: type[T]) -> T:
    """The service of this class, of the application that answers the request."""
    proxy: Any = current_app
    # Flask's documented way past the proxy, which would look up each attribute again.
    # pylint: disable-next=protected-access
    found: T = proxy._get_current_object().extensions["services"][kind]
    return found
