"""What stands before every view: is the request sound, within its limit, and spared by faults?"""

from flask import Flask, request
from werkzeug.sansio.utils import host_is_trusted

from app.routes.deps import services
from app.utils import metrics, request_context
from app.utils.observe import METRICS_PATH, ROUTE
from app.utils.problems import Problem

# Probes and scrapers come by address, not by name, and must not be turned away.
ALWAYS_OPEN = ("/health", METRICS_PATH)


def register(app: Flask) -> None:
    """Put the guards in front of the views of `app`."""
    app.before_request(_guard)


def _guard() -> None:
    rule = request.url_rule
    request.environ[ROUTE] = rule.rule if rule else metrics.UNMATCHED
    path = request.path
    _check_encoding(request.environ["PATH_INFO"], request.environ.get("QUERY_STRING", ""))
    if path.startswith(ALWAYS_OPEN):
        return
    known = services()
    hosts = [host.lower() for host in known.settings.trusted_hosts]
    if hosts and not host_is_trusted(request.host.lower(), hosts):
        raise Problem(400, "This service does not answer to that host name.")
    client = request.headers.get("Authorization") or _client_ip()
    retry_after = known.rate_limit.exceeded(client)
    if retry_after:
        raise Problem(
            429, "Too many requests; slow down.", headers={"Retry-After": str(retry_after)}
        )
    if known.faults.strikes(path):
        raise Problem(500, "A fault set by a drill; see /api/v1/demo/faults.")


def _check_encoding(path: str, query: str) -> None:
    """Refuse what werkzeug would silently replace: bytes that are no UTF-8, and NUL."""
    if "\0" in path or "%00" in query:
        raise Problem(400, "The URL holds a NUL byte.")
    if not path.isascii():
        try:
            path.encode("latin-1").decode("utf-8")
        except UnicodeError as error:
            raise Problem(400, "The URL's path is not UTF-8.") from error


def _client_ip() -> str:
    context = request_context.current()
    return context.client_ip if context else ""
