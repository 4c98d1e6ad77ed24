#!/usr/bin/env bash
# Gunicorn 27.0.1, gthread workers: after SIGTERM, one idle keep-alive connection makes new connections
# fail by a reset in place of a refusal, for up to two seconds.
#
# The stopping worker waits for idle connections (at most 2 s and --keep-alive), no longer accepts, but does
# not close its listening socket. The kernel still completes handshakes and takes requests, and drops all of
# them when the worker exits. A proxy tries another server after a refusal; after a reset it cannot know
# whether a POST was carried out. A proxy with a pool of upstream connections is the idle connection.
#
# Expected: a server that stops refuses new connections, as Gunicorn does if no connection is open.
# Seen (2026-11-30, Python 3.11): one second after SIGTERM "reset" with an idle connection, else "refused".
# Source: gunicorn/workers/gthread.py, ThreadWorker.run: set_accept_enabled(False) only leaves the poller,
# then the loop over nr_conns (STOP_KEEPALIVE_LINGER).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gunicorn==27.0.1
cat >"$folder/app.py" <<'PYTHON'
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
PYTHON

seen=$(timeout 60 "$folder/venv/bin/python" - "$folder" <<'PYTHON'
import http.client
import socket
import subprocess
import sys
import time


def request(connection: http.client.HTTPConnection) -> str:
    try:
        connection.request("POST", "/orders", body=b"one")
        return connection.getresponse().read().decode()
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:  # RemoteDisconnected (no answer) is one, too
        return "reset"


def second_after_sigterm(keep_idle_connection: bool) -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "app:app", "--worker-class", "gthread", "--keep-alive", "5"]
    command += ["--bind", f"127.0.0.1:{port}", "--chdir", sys.argv[1], "--no-control-socket"]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while request(idle := http.client.HTTPConnection("127.0.0.1", port, timeout=10)) != "ok":
            time.sleep(0.1)
        if not keep_idle_connection:
            idle.close()
            time.sleep(1)
        server.terminate()
        time.sleep(1)
        return request(http.client.HTTPConnection("127.0.0.1", port, timeout=10))
    finally:
        server.terminate()
        server.wait()


print("no connection:", second_after_sigterm(False))
print("an idle connection:", second_after_sigterm(True))
PYTHON
)

echo "$seen"
[[ $seen == $'no connection: refused\nan idle connection: reset' ]]
