"""DevOps Starter: a service that carries its DevOps pipeline."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Settings

__version__ = "0.1.0"


def create_app(settings: "Settings | None" = None) -> "Flask":
    """Make the application: every part and the order they meet a request in.

    Args:
        settings: read from the environment unless given.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    # Imported here because Gunicorn's settings live in this package too, and must have said
    # where metrics go before the metrics are made.
    from app import factory  # pylint: disable=import-outside-toplevel,cyclic-import
    from app.config import Settings as Read  # pylint: disable=import-outside-toplevel,cyclic-import

    return factory.build(settings or Read.from_env())
