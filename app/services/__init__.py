"""What the routes do. Services know no HTTP; `create_app` makes them."""

from typing import TypeVar

from flask import current_app

T = TypeVar("T")


def service(kind: type[T]) -> T:
    """The service of this class, of the application that answers the request."""
    found: T = current_app.extensions["services"][kind]
    return found
