"""Which share of the requests the candidate gets: a request to docker/nginx/edge.js, no reload."""

from contextlib import suppress
from dataclasses import dataclass

from command_error import CommandError

from .docker_client import DockerClient

ADDRESS = "http://127.0.0.1:8083/traffic"  # listens inside nginx's container only


@dataclass(frozen=True)
class Traffic:
    """Where nginx sends requests. `web` and the candidate are each other's backup at any share."""

    percent: int = 0  # of the requests that go to the candidate
    writes: bool = False  # whether POST and PATCH, which nginx never repeats, are among them
    retry: bool = False  # whether `web` is asked again when the candidate answers with an error

    def __str__(self) -> str:
        return f"percent={self.percent}&writes={self.writes:d}&retry={self.retry:d}"


WEB_ONLY = Traffic()


class Nginx:
    """The proxy of the running stack."""

    def __init__(self, docker: DockerClient) -> None:
        self._docker = docker
        self._container()

    def apply(self, traffic: Traffic) -> None:
        """Holds for every request that begins after this returns, until nginx is restarted."""
        self._request(f"--post-data={traffic}")

    def hold(self, traffic: Traffic) -> None:
        """Apply it again if nginx has been restarted, after which all requests go to `web`.

        An nginx that is being restarted does not answer; the next call will ask it again.
        """
        with suppress(CommandError):
            if self._request() != str(traffic):
                self.apply(traffic)

    def serves_web_only(self) -> bool:
        return self._request().startswith("percent=0&")

    def _request(self, *options: str) -> str:
        command = ("exec", self._container(), "wget", "-qO-", *options, ADDRESS)
        return self._docker.docker(*command).strip()

    def _container(self) -> str:
        running = self._docker.running("nginx")
        if not running:
            raise CommandError("nginx is not running: start the stack first (./scripts/setup.sh)")
        return running[0].id
