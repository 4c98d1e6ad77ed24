"""Log Lines: the commands that find the log lines of a route.

The stack stores no logs beyond Docker's. Panels link here with the clicked route, which is filled
into the commands.
"""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

from typing import Any

from monitoring.grafana.generate import names as n
from monitoring.grafana.generate.frame import dashboard, one_of
from monitoring.grafana.generate.panels import STATUS_COLORS, limit, quantiles, series, text

SPAN = "--no-log-prefix --since ${__from:date:iso} --until ${__to:date:iso}"
LOGS = f"docker compose logs web {SPAN}"
COMMANDS = f"""\
Run these where the stack runs. Each line of the log is a JSON object (docs/MONITORING.md, "Find the
log lines"). Choose the route above, or click a route on another dashboard.

**Failed requests of this route**, in the time range:

```sh
{LOGS} | jq -cR 'fromjson? | select(.route == "${{route}}" and .status >= 500)'
```

**Requests of this route slower than 250 ms:**

```sh
{LOGS} | jq -cR 'fromjson? | select(.route == "${{route}}" and .duration_ms > 250)'
```

**What nginx answered itself**, without the service (502, 504):

```sh
docker compose logs nginx {SPAN} | jq -cR 'fromjson? | select(.status == 502 or .status == 504)'
```

**All lines of one request**, nginx's and the service's, by its `request_id`, which is also in the
error body and in the header `X-Request-ID`:

```sh
docker compose logs nginx web --no-log-prefix | grep -F REQUEST_ID
```
"""


def build() -> dict[str, Any]:
    counted = f'{n.DURATION}_count{{route="$route"}}'
    buckets = f'sum by (le) (instance_route_le:{n.DURATION}_bucket:rate5m{{route="$route"}})'
    panels = [
        text("How to find them", COMMANDS, height=13),
        series("Answers of ${route}", "Requests per second by the first digit of their status.",
               {"{{status_class}}": f"sum by (status_class) (rate({counted}[$__rate_interval]))"},
               "reqps", stacked=True, width=12, colors=STATUS_COLORS),
        series("Latency of ${route}, p95",
               "95 % of its requests are answered faster. The line is the objective, 250 ms.",
               {"p95": quantiles(buckets)["p95"]}, "s", width=12, steps=limit(0.25)),
    ]
    return dashboard(
        "ds-logs",
        "Log Lines",
        "Commands that find the log lines of a route.",
        {"": panels},
        variables=(one_of("route", "Route", n.REQUESTS),),
    )
