"""Log Lines: the commands that find the lines behind a point on another dashboard.

The stack keeps no logs of its own beyond Docker's. Panels link here with the route that was
clicked, and the commands below are filled in with it.
"""

from typing import Any

from frame import dashboard, one_of
from panels import series, text
from parts import BLUE, GREEN, ORANGE, RED, query

LOGS = "docker compose logs web --no-log-prefix --since 1h"
COMMANDS = f"""\
Run these where the stack runs; each line of the log is one JSON object (docs/MONITORING.md, "Find
the log lines"). Choose the route above, or come here by a click on a route elsewhere.

**Requests of this route that failed**, the last hour:

```sh
{LOGS} | jq -cR 'fromjson? | select(.route == "${{route}}" and .status >= 500)'
```

**Requests of this route slower than 250 ms:**

```sh
{LOGS} | jq -cR 'fromjson? | select(.route == "${{route}}" and .duration_ms > 250)'
```

**All that one request left behind**, in nginx and in the service, by the `request_id` of a line, an
error body or the header `X-Request-ID`:

```sh
docker compose logs nginx web --no-log-prefix | grep -F REQUEST_ID
```
"""


def logs() -> dict[str, Any]:
    return dashboard(
        "ds-logs",
        "Log Lines",
        "Commands that find the log lines of a route.",
        {
            "": [
                text("How to find them", COMMANDS, height=11),
                series(
                    "Answers of ${route}",
                    "Requests per second by the first digit of their status.",
                    query(
                        """sum by (status_class) (rate(
                        http_request_duration_seconds_count{route="$route"}[$__rate_interval]))""",
                        "{{status_class}}",
                    ),
                    unit="reqps",
                    stacked=True,
                    width=12,
                    colors={"2xx": GREEN, "3xx": BLUE, "4xx": ORANGE, "5xx": RED},
                ),
                series(
                    "Latency of ${route}, p95",
                    "95 % of its requests are answered faster; the line is the objective, 250 ms.",
                    query(
                        """histogram_quantile(0.95, sum by (le) (
                        instance_route_le:http_request_duration_seconds_bucket:rate5m{
                        route="$route"})) >= 0""",
                        "p95",
                    ),
                    unit="s",
                    width=12,
                    steps=[(None, GREEN), (0.25, RED)],
                ),
            ]
        },
        variables=(one_of("route", "Route", "http_requests_total"),),
    )
