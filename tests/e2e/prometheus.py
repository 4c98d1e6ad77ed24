"""A running Prometheus, asked by its HTTP API."""

import time
from typing import Any

import requests


class Prometheus:
    """What it has recorded, and which alerts it has."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str | float) -> Any:
        """Prometheus's answer, by its HTTP API."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return list(self.ask("query", query=expression)["result"])

    def value(self, expression: str) -> float:
        """The first series' value, 0 without any."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else 0.0

    def series(self) -> list[dict[str, str]]:
        """The labels of every series of the last two minutes, recorded ones included."""
        everything: dict[str, str | float] = {"match[]": '{__name__!=""}'}
        return list(self.ask("series", start=time.time() - 120, **everything))

    def exported(self) -> dict[str, set[str]]:
        """Every metric with its labels."""
        found: dict[str, set[str]] = {}
        for series in self.series():
            found.setdefault(series["__name__"], set()).update(series)
        return found

    def alerts(self, state: str) -> set[str]:
        """Names of the alerts in this state, `pending` or `firing`."""
        return {
            alert["labels"]["alertname"]
            for alert in self.ask("alerts")["alerts"]
            if alert["state"] == state
        }
