"""The service `search-setup` of docker-compose.observability.yml prepares the search for log lines.

1. Elasticsearch: users with the passwords of infrastructure/secrets, each with the rights that it
   needs; how long log lines are kept (lifecycle.json); their fields (template.json).
2. Kibana: data view, saved search and dashboard (saved_objects.ndjson).

Everything is written again at each start, so changed files take effect. It then waits: its health
check (docker/health/check.sh) starts it again once a file has changed.
"""

import base64
import json
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECRETS = Path("/run/secrets")
ELASTICSEARCH, KIBANA = "http://elasticsearch:9200", "http://kibana:5601"
READY = Path("/tmp/ready")  # nosec B108

STREAM = "service-logs"
ROLES = {
    # `auto_configure`: the first line creates the data stream.
    "log_writer": {
        "indices": [{"names": [STREAM], "privileges": ["create_doc", "auto_configure"]}]
    },
    "log_reader": {"indices": [{"names": [STREAM], "privileges": ["read", "view_index_metadata"]}]},
}
USERS = {"collector": "log_writer", "grafana": "log_reader"}


class Api:
    """One of the two servers, as the user `elastic`."""

    def __init__(self, url: str, password: str, headers: Mapping[str, str] | None = None) -> None:
        login = base64.b64encode(f"elastic:{password}".encode()).decode()
        self._url = url
        self._headers = {"Authorization": f"Basic {login}", **(headers or {})}

    def send(self, method: str, path: str, body: bytes, content_type: str) -> Any:
        """Send a request; the answer's JSON.

        Raises:
            urllib.error.HTTPError: the server refuses it.
            OSError: it does not answer.
        """
        headers = self._headers | {"Content-Type": content_type}
        request = urllib.request.Request(self._url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def put(self, path: str, content: Any, method: str = "PUT") -> Any:
        """The same with JSON."""
        return self.send(method, path, json.dumps(content).encode(), "application/json")


def secret(name: str) -> str:
    return (SECRETS / name).read_text(encoding="utf-8").strip()


def read(name: str) -> Any:
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def prepare_elasticsearch(api: Api) -> None:
    """Users, lifecycle and template."""
    api.put("/_security/user/kibana_system/_password", {"password": secret("kibana_password")})
    for role, rights in ROLES.items():
        api.put(f"/_security/role/{role}", rights)
    for user, role in USERS.items():
        password = secret(f"elasticsearch_{user}_password")
        api.put(f"/_security/user/{user}", {"password": password, "roles": [role]})
    api.put(f"/_ilm/policy/{STREAM}", read("lifecycle.json"))
    api.put(f"/_index_template/{STREAM}", read("template.json"))


def prepare_kibana(api: Api, objects: bytes) -> None:
    """Import the saved objects, over those of the same ID.

    Raises:
        RuntimeError: Kibana refuses some of them.
    """
    edge = "saved-objects"
    body = (
        f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="all.ndjson"\r\n\r\n'
    ).encode()
    body += objects + f"\r\n--{edge}--\r\n".encode()
    path = "/api/saved_objects/_import?overwrite=true"
    answer = api.send("POST", path, body, f"multipart/form-data; boundary={edge}")
    if not answer["success"]:
        raise RuntimeError(f"Kibana: {json.dumps(answer.get('errors'))}")


def main() -> None:
    password = secret("elasticsearch_password")
    READY.unlink(missing_ok=True)
    prepare_elasticsearch(Api(ELASTICSEARCH, password))
    READY.touch()
    print("search-setup: Elasticsearch is prepared", flush=True)
    kibana = Api(KIBANA, password, {"kbn-xsrf": "search-setup"})
    objects = (HERE / "saved_objects.ndjson").read_bytes()
    while True:
        try:
            prepare_kibana(kibana, objects)
            break
        except urllib.error.HTTPError as error:
            if error.code != 503:  # it is still starting
                raise
        except OSError:
            pass
        time.sleep(5)
    print("search-setup: Kibana is prepared", flush=True)
    signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        main()
    except urllib.error.HTTPError as failure:
        sys.exit(f"search-setup: {failure.url}: {failure.code} {failure.read().decode()[:500]}")
    except (OSError, RuntimeError) as failure:
        sys.exit(f"search-setup: {failure}")
