"""The container engine: whether there is one, images, and a Redis where no redis-server is."""

import subprocess

from redis import Redis
from redis.exceptions import RedisError

from tests.support.missing import missing
from tests.support.processes import run, wait_until

IMAGE = "redis:8.0-alpine"  # as in infrastructure/docker-compose.yml
ENGINE_SECONDS = 10
PULL_SECONDS = 600


def _docker(*arguments: str, seconds: float = ENGINE_SECONDS) -> str:
    command = ["docker", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds)
    return done.stdout.strip()


def engine_answers() -> bool:
    try:
        _docker("version", "--format", "{{.Server.Version}}")
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def require_engine() -> None:
    if not engine_answers():
        missing("NO CONTAINER ENGINE ANSWERS: start Docker to run the end-to-end tests")


def pull(image: str) -> bool:
    """Get an image; whether this machine has it now."""
    for get in (("image", "inspect"), ("pull", "--quiet")):
        command = ["docker", *get, image]
        if run(command, seconds=PULL_SECONDS).returncode == 0:
            return True
    return False


class RedisContainer:
    """`url` is valid from the moment the constructor returns until `close()`."""

    def __init__(self) -> None:
        publish = ("--publish", "127.0.0.1::6379")
        self._name = _docker("run", "--rm", "--detach", *publish, IMAGE, seconds=PULL_SECONDS)
        try:
            address = _docker("port", self._name, "6379/tcp").splitlines()[0]
            self.url = f"redis://{address}/0"
            wait_until(self._answers, why="Redis in the container answers")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        _docker("rm", "--force", "--volumes", self._name, seconds=60)

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as client:
                return bool(client.ping())
        except RedisError:
            return False
