#!/usr/bin/env bash
# Alertmanager 0.34.0: if an alert that a receiver knows as firing is inhibited when it ends, the receiver
# is never told that it is resolved, also not after the inhibition is over.
#
# A webhook receiver that opens an incident per alert and closes it on "resolved" (ticket systems, pagers,
# own bots) keeps such an incident for ever. The usual rule "the node is down, so do not send what follows
# from it" makes this: the symptom fires first, the cause a minute later, and both end together.
#
# Expected: with send_resolved, every alert that was sent as firing is sent as resolved in the end.
# Seen (2026-11-30): Slow fires, Down fires and inhibits it, Slow ends, Down ends. The messages are Slow
# firing, Down firing, Down resolved. Without the inhibition rule, one of them says that Slow is resolved.
# Source: notify/mute.go (MuteStage.Exec removes the alert from the message) and dispatch/dispatch.go
# (aggrGroup.flush deletes resolved alerts after the pipeline's success, whether they were sent or not).
#
# Builds Alertmanager from its Go module, without the web pages: needs Go, and two minutes the first time.
set -euo pipefail

folder=$(mktemp -d)
trap 'chmod -R u+w "$folder" && rm -rf "$folder"' EXIT
module=github.com/prometheus/alertmanager@v0.34.0
read_directory='import json, sys; print(json.load(sys.stdin)["Dir"])'
directory=$(cd "$folder" && go mod download -json "$module" | python3 -c "$read_directory")
cp -r "$directory" "$folder/source"
chmod -R u+w "$folder/source"
mkdir -p "$folder/source/ui/app/dist"
touch "$folder/source/ui/app/dist/index.html" # the web pages, which the module lacks
(cd "$folder/source" && CGO_ENABLED=0 go build -o "$folder/alertmanager" ./cmd/alertmanager)

seen=$(timeout 90 python3 - "$folder" <<'PYTHON'
import datetime
import http.server
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time
import urllib.request

FOLDER = pathlib.Path(sys.argv[1])
RULE = "inhibit_rules: [{source_matchers: [alertname=Down], target_matchers: [alertname=Slow]}]"
messages: list[str] = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        alerts = sorted(f"{alert['labels']['alertname']} {alert['status']}" for alert in message["alerts"])
        messages.append(" and ".join(alerts))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def send(url: str, name: str, started: datetime.datetime, minutes: int) -> None:
    """Report an alert as Prometheus does: it ends so many minutes from now."""
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    alert = {"labels": {"alertname": name}, "startsAt": started.isoformat(), "endsAt": ends.isoformat()}
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{url}/api/v2/alerts", json.dumps([alert]).encode(), headers))


def wait_for(text: str) -> None:
    while not any(text in message for message in messages):
        time.sleep(0.1)


def received(rule: str, receiver: int) -> list[str]:
    messages.clear()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (FOLDER / "config.yml").write_text(
        "route: {receiver: hook, group_wait: 1s, group_interval: 2s, repeat_interval: 1h}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{receiver}'"
        ", send_resolved: true}]}]\n"
        f"{rule}\n"
    )
    command = [FOLDER / "alertmanager", f"--config.file={FOLDER}/config.yml"]
    command += [f"--storage.path={FOLDER}/data{len(rule)}", f"--web.listen-address={address}"]
    command += ["--cluster.listen-address="]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://{address}/-/ready")
                break
            except OSError:
                time.sleep(0.1)
        started = datetime.datetime.now(datetime.timezone.utc)
        send(f"http://{address}", "Slow", started, 5)
        wait_for("Slow firing")
        send(f"http://{address}", "Down", started, 5)
        wait_for("Down firing")
        send(f"http://{address}", "Slow", started, 0)
        time.sleep(5)  # two group intervals
        send(f"http://{address}", "Down", started, 0)
        wait_for("Down resolved")
        time.sleep(5)
        return list(messages)
    finally:
        process.terminate()
        process.wait()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
for title, rule in (("inhibited", RULE), ("not inhibited", "")):
    print(f"{title}: {received(rule, server.server_port)}")
PYTHON
)

echo "$seen"
inhibited=$(grep '^inhibited' <<<"$seen")
[[ $inhibited == "inhibited: ['Slow firing', 'Down firing', 'Down resolved']" ]]
grep -q '^not inhibited.*Slow resolved' <<<"$seen"
