"""DevOps Starter: a Flask service that carries its DevOps pipeline."""

from app.version import __version__

__all__ = ["__version__"]
