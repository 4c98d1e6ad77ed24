"""Log lines in OpenSearch or Elasticsearch, and what brings them there in the tests.

The collector that can be built here has no Elasticsearch exporter. In its place it sends OTLP to
`Loader`, which does what that exporter does with `mapping: {mode: bodymap}`: each record's body is
one document, created by `_bulk`. It answers only once the store has answered.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

# Generated modules make their classes when they are imported.
# pylint: disable=no-name-in-module
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

# pylint: enable=no-name-in-module

from tests.e2e.pipeline import configuration, search_url
from tests.support.paths import ROOT
from tests.support.processes import free_port, wait_until

STREAM = "service-logs"
SEARCH = ROOT / "monitoring" / "search"


class Store:
    """The data stream of log lines, empty and with the template of monitoring/search."""

    def __init__(self) -> None:
        self.url = search_url()
        # A machine of tests may have little room left.
        threshold = {"cluster.routing.allocation.disk.threshold_enabled": False}
        self.ask("PUT", "/_cluster/settings", {"transient": threshold})
        self.ask("DELETE", f"/_data_stream/{STREAM}", good=(200, 404))
        self.ask("PUT", f"/_index_template/{STREAM}", self.template())

    def template(self) -> dict[str, Any]:
        """template.json, in the words of the store."""
        content: dict[str, Any] = json.loads((SEARCH / "template.json").read_text("utf-8"))
        if "distribution" in self.ask("GET", "/")["version"]:  # OpenSearch
            del content["template"]["settings"]["index.lifecycle.name"]
            content["template"]["mappings"]["properties"]["labels"]["type"] = "flat_object"
        content["template"]["settings"]["index.refresh_interval"] = "1s"
        return content

    def ask(
        self, method: str, path: str, body: Any = None, good: tuple[int, ...] = (200,)
    ) -> dict[str, Any]:
        answer = requests.request(method, self.url + path, json=body, timeout=60)
        assert answer.status_code in good, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def create(self, documents: list[dict[str, Any]]) -> None:
        """Add documents; an error is an AssertionError."""
        body = "".join(f'{{"create": {{}}}}\n{json.dumps(each)}\n' for each in documents)
        kind = {"Content-Type": "application/x-ndjson"}
        answer = requests.post(
            f"{self.url}/{STREAM}/_bulk", body.encode(), headers=kind, timeout=60
        )
        refused = [each for each in answer.json()["items"] if each["create"]["status"] != 201]
        assert not refused, refused[:3]

    def count(self) -> int:
        """Documents that a search finds; 0 before the first, while the index is being made."""
        found = self.ask("GET", f"/{STREAM}/_count", good=(200, 404, 503))
        return int(found.get("count", 0))

    def search(self, query: str) -> list[dict[str, Any]]:
        """At most a hundred documents, by a query as one types it in Kibana or Grafana."""
        asked = {"size": 100, "query": {"query_string": {"query": query}}}
        hits = self.ask("POST", f"/{STREAM}/_search", asked)["hits"]["hits"]
        return [hit["_source"] for hit in hits]

    def request_ids(self) -> Iterator[str]:
        """Those of all documents."""
        asked = {"size": 10_000, "_source": ["request_id"], "sort": ["_doc"]}
        page = self.ask("POST", f"/{STREAM}/_search?scroll=1m", asked)
        while page["hits"]["hits"]:
            for hit in page["hits"]["hits"]:
                yield hit["_source"]["request_id"]
            scroll = {"scroll": "1m", "scroll_id": page["_scroll_id"]}
            page = self.ask("POST", "/_search/scroll", scroll)

    def wait_for(self, number: int, seconds: float = 240) -> None:
        wait_until(
            lambda: self.count() >= number, seconds=seconds, why=f"{number} lines", interval=0.5
        )


class Loader:
    """Takes OTLP and loads it into the store; while `away`, nothing listens, as if it were down."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._port = free_port()
        self._server: ThreadingHTTPServer | None = None

    def configuration(self) -> dict[str, Any]:
        """logs.yml with this in place of Elasticsearch; the queue stays as it is."""
        content = configuration("logs.yml")
        exporter = content["exporters"].pop("elasticsearch")
        content["exporters"]["otlp_http/store"] = {
            "endpoint": f"http://127.0.0.1:{self._port}",
            "compression": "none",
            "timeout": "90s",  # as the Elasticsearch exporter's
            "retry_on_failure": {"max_elapsed_time": 0, "max_interval": "2s"},
            "sending_queue": exporter["sending_queue"],
        }
        content["service"]["pipelines"]["logs"]["exporters"] = ["otlp_http/store"]
        return content

    def start(self) -> None:
        store = self._store

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    store.create(list(documents(body)))
                    self.send_response(200)
                except (AssertionError, requests.RequestException) as error:
                    print(error)
                    self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:  # pylint: disable=arguments-differ
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def documents(body: bytes) -> Iterator[dict[str, Any]]:
    """The bodies of the records."""
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield value(record.body)


def value(of: Any) -> Any:
    """A value of OTLP as JSON has it."""
    kind = of.WhichOneof("value")
    if kind == "kvlist_value":
        return {each.key: value(each.value) for each in of.kvlist_value.values}
    if kind == "array_value":
        return [value(each) for each in of.array_value.values]
    return getattr(of, kind) if kind else None


def line(number: int, fields: Mapping[str, Any] | None = None) -> str:
    """A line as the service writes it."""
    return json.dumps(
        {
            "timestamp": f"2026-11-30T12:{number // 60 % 60:02}:{number % 60:02}.{number:06}Z",
            "level": "INFO",
            "logger": "app.request",
            "message": f"GET /api/v1/items/{number} 200",
            "service": "devops-starter",
            "instance": "web-1",
            "request_id": f"n{number}",
            "trace_id": f"{number:032x}",
            "span_id": f"{number:016x}",
            "method": "GET",
            "path": f"/api/v1/items/{number}",
            "route": "/api/v1/items/<id>",
            "status": 200,
            "duration_ms": 1.5,
            "bytes": 321,
            "client_ip": "192.0.2.1",
            "user_agent": "test/1",
            **(fields or {}),
        }
    )
