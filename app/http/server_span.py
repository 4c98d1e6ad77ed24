"""The span of a request, by OpenTelemetry's semantic conventions for HTTP servers.

Only what is one of few goes into it: no path, query, header or address that a client has chosen.
The log line of the request has more, under the same trace ID.
"""

import re
from functools import lru_cache

from app.utils import metrics
from app.utils.request_context import RequestContext
from app.utils.spans import Attributes, Description, Span

Answered = tuple[str, str, int, str]
"""Method and route as the metrics have them, status, and scheme of the URL."""


def describe(span: Span, context: RequestContext, answered: Answered) -> None:
    """Name the request's span and add what is known of its answer."""
    span.is_a = _description(answered)
    status = answered[2]
    if status >= 500:
        cause = context.exception or ""
        kind = re.match(r"(?!Problem\b)\w+", cause)  # a Problem says no more than its status
        span.fail(kind[0] if kind else str(status), cause)


@lru_cache(maxsize=1024)
def _description(answered: Answered) -> Description:
    method, route, status, scheme = answered
    known = method in metrics.METHODS
    attributes: Attributes = {
        "http.request.method": method if known else "_OTHER",
        "http.response.status_code": status,
        "url.scheme": scheme,
    }
    name = method if known else "HTTP"
    if route != metrics.UNMATCHED:
        name = f"{name} {route}"
        attributes["http.route"] = route
        # The path as far as it is the same for all: its variables may be keys of somebody's.
        attributes["url.path"] = re.sub("<[^>]*>", "REDACTED", route)
    return Description(name, attributes)
