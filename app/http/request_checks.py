"""before_request checks: URL encoding, trusted host, rate limit, injected faults."""

from collections.abc import Callable

from flask import Flask, current_app, request
from flask.globals import request_ctx
from werkzeug.exceptions import NotFound
from werkzeug.sansio.utils import host_is_trusted

from app.http.auth import TokenAuth
from app.http.middleware import MANAGEMENT, METRICS_PATH, ROUTE, Environ
from app.http.problems import Problem
from app.http.rate_limit import RateLimit
from app.utils import metrics, request_context

# Probes and scrapers come by address, not by name, and must not be refused.
_ALWAYS_OPEN = ("/health/", f"{METRICS_PATH}/")
_MANAGEMENT_PATHS = {METRICS_PATH, "/health/live", "/health/ready"}


def register(
    app: Flask,
    *,
    management: bool,
    trusted_hosts: tuple[str, ...],
    rate_limit: RateLimit,
    should_fail: Callable[[str], bool],
) -> None:
    """Check every request before its view.

    With `management` there is a port for the scrape and the probes: /metrics is there alone.
    `should_fail` returns whether a fault is due for a path. It may also delay the request.
    """
    hosts = [host.lower() for host in trusted_hosts]

    @app.before_request
    def check() -> None:
        current = request_ctx.request  # one lookup through Flask's proxy instead of several
        rule, environ = current.url_rule, current.environ
        environ[ROUTE] = rule.rule if rule else metrics.UNMATCHED
        path: str = environ["PATH_INFO"]
        _check_encoding(path, environ.get("QUERY_STRING", ""))
        # Werkzeug would take the double slash for a single one.
        if path.startswith("//") or (management and not _on_its_port(path, environ)):
            environ[ROUTE] = metrics.UNMATCHED
            raise NotFound
        if always_open(path):
            return
        if hosts and not host_is_trusted(current.host.lower(), hosts):
            raise Problem(400, "This service does not answer to that host name.")
        if rate_limit.active:
            _check_rate(rate_limit)
        if should_fail(path):
            raise Problem(500, "An injected fault; see /api/v1/demo/faults.")


def always_open(path: str) -> bool:
    """Whether a path is exempt from limits and host checks, and does not count as usage."""
    return f"{path}/".startswith(_ALWAYS_OPEN)


def _on_its_port(path: str, environ: Environ) -> bool:
    return path in _MANAGEMENT_PATHS if MANAGEMENT in environ else path != METRICS_PATH


def _check_rate(limit: RateLimit) -> None:
    auth: TokenAuth = current_app.extensions["auth"]
    # Unknown tokens are ignored: otherwise a client could evade the limit by sending a new one
    # each time.
    token = auth.recognise(request.headers.get("Authorization", ""))
    context = request_context.current()
    retry_after = limit.exceeded(token or (context.client_ip if context else ""))
    if retry_after:
        headers = {"Retry-After": str(retry_after)}
        raise Problem(429, "Too many requests; slow down.", headers=headers)


def _check_encoding(path: str, query: str) -> None:
    """Refuse what werkzeug would silently replace: bytes that are not UTF-8, and NUL."""
    if "\0" in path or "%00" in query:
        raise Problem(400, "The URL contains a NUL byte.")
    if not path.isascii():
        try:
            path.encode("latin-1").decode("utf-8")
        except UnicodeError as error:
            raise Problem(400, "The URL's path is not UTF-8.") from error
