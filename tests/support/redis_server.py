"""A redis-server that belongs to the tests: on a free port, on no disk."""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

from redis import Redis
from redis.exceptions import RedisError

from tests.support.processes import end_group, free_port, wait_until

START_SECONDS = 10


class RedisServer:
    """Starts, ends, kills and pauses one redis-server; its port stays the same."""

    without: ClassVar[Callable[[], object]] = partial(sys.exit, "redis-server is not installed")
    """Called where there is none; tests/conftest.py has it skip the test."""

    def __init__(self, *arguments: str, password: str = "") -> None:
        """`arguments` are passed on, e.g. `"--maxmemory", "4mb"`."""
        login = ("--requirepass", password, "--masterauth", password) if password else ()
        self._arguments = (*arguments, *login)
        self._password = password or None
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    @staticmethod
    def available() -> bool:
        return shutil.which("redis-server") is not None

    @classmethod
    def require(cls) -> None:
        if not cls.available():
            cls.without()

    @property
    def pid(self) -> int:
        return self._running().pid

    def client(self) -> Redis:
        return Redis(port=self.port, password=self._password, decode_responses=True, protocol=2)

    def start(self) -> None:
        log = self.start_without_waiting()
        try:
            wait_until(self._answers, seconds=START_SECONDS, why="redis-server answers")
        except TimeoutError as error:
            self.kill()
            raise RuntimeError(f"redis-server did not start:\n{log.read_text()}") from error

    def start_without_waiting(self) -> Path:
        """Start it, and return the path of its log."""
        self.require()
        # fmt: off
        command = [
            "redis-server", "--bind", "127.0.0.1", "--port", str(self.port),
            "--dir", str(self._folder),
            "--save", "", "--appendonly", "no", "--shutdown-timeout", "0",
            "--repl-diskless-sync-delay", "0", *self._arguments,
        ]
        # fmt: on
        log = self._folder / "redis.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
            )
        return log

    def follow(self, primary: "RedisServer") -> None:
        """Become a replica, and return when the primary has heard that it is up to date.

        Its link is "up" before that: a replica that is paused then confirms nothing for a second
        after it goes on.
        """
        with self.client() as replica, primary.client() as redis:
            redis.config_set("repl-ping-replica-period", 1)
            replica.replicaof("127.0.0.1", primary.port)
            wait_until(
                lambda: redis.info("replication").get("slave0", {}).get("offset", 0) > 0,
                why="the replica has confirmed a ping",
            )

    def stop(self) -> None:
        """End it as a shutdown would: connections are closed, nothing is saved."""
        if self._process is not None:
            end_group(self._process)
            self._process = None

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def pause(self) -> None:
        """Let it hang (SIGSTOP): it accepts connections and answers nothing."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("redis-server is not running")
        return self._process

    def _answers(self) -> bool:
        if self._running().poll() is not None:
            raise TimeoutError("redis-server has ended")
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False


class RedisSentinel:
    """A Sentinel on a free port; `arguments` are lines of its configuration."""

    def __init__(self, *arguments: str, password: str = "") -> None:
        RedisServer.require()
        self._folder = Path(tempfile.mkdtemp(prefix="sentinel-"))
        self.port = free_port()
        config = self._folder / "sentinel.conf"
        lines = [
            f"port {self.port}",
            *([f"requirepass {password}"] if password else []),
            *arguments,
        ]
        config.write_text("\n".join(lines) + "\n", encoding="ascii")
        self.client = Redis(port=self.port, password=password, protocol=2, decode_responses=True)
        # pylint: disable-next=consider-using-with
        self._process = subprocess.Popen(
            ["redis-server", str(config), "--sentinel"],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers, seconds=START_SECONDS, why="Sentinel answers")

    def monitor(self, port: int, name: str = "MyMaster") -> None:
        """Call the server at this port the primary from now on; the former one is not asked."""
        if self.client.sentinel_masters():
            self.client.sentinel_remove(name)
        self.client.sentinel_monitor(name, "127.0.0.1", port, 1)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        self.client.close()
        end_group(self._process)
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False


def delete_keys(url: str, prefix: str) -> None:
    with Redis.from_url(url) as client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)
