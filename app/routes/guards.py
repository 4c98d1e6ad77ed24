"""What stands before every view: is the request sound, within its limit, and spared by faults?"""

from flask import Flask, current_app, request
from flask.globals import request_ctx
from werkzeug.sansio.utils import host_is_trusted

from app.routes.deps import Services
from app.services.rate_limit import RateLimit
from app.utils import metrics, request_context
from app.utils.auth import TokenAuth
from app.utils.observe import METRICS_PATH, ROUTE
from app.utils.problems import Problem

# Probes and scrapers come by address, not by name, and must not be turned away.
_ALWAYS_OPEN = ("/health/", f"{METRICS_PATH}/")


def register(app: Flask, known: Services) -> None:
    """Put the guards in front of the views of `app`."""
    hosts = [host.lower() for host in known.settings.trusted_hosts]

    @app.before_request
    def guard() -> None:
        current = request_ctx.request  # one look through Flask's proxy instead of one for each
        rule, environ = current.url_rule, current.environ
        environ[ROUTE] = rule.rule if rule else metrics.UNMATCHED
        path: str = environ["PATH_INFO"]
        _check_encoding(path, environ.get("QUERY_STRING", ""))
        if always_open(path):
            return
        if hosts and not host_is_trusted(current.host.lower(), hosts):
            raise Problem(400, "This service does not answer to that host name.")
        if known.rate_limit.active:
            _limit_rate(known.rate_limit)
        if known.faults.active and known.faults.strikes(current.path):
            raise Problem(500, "A fault set by a drill; see /api/v1/demo/faults.")


def always_open(path: str) -> bool:
    """Whether it is neither limited nor refused for its host, and nobody's use of the service."""
    return f"{path}/".startswith(_ALWAYS_OPEN)


def _limit_rate(limit: RateLimit) -> None:
    auth: TokenAuth = current_app.extensions["auth"]
    # A token that is none of ours is anybody's to make up, and would be a new client each time.
    token = auth.recognise(request.headers.get("Authorization", ""))
    retry_after = limit.exceeded(token or _client_ip())
    if retry_after:
        headers = {"Retry-After": str(retry_after)}
        raise Problem(429, "Too many requests; slow down.", headers=headers)


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
