"""Crashing and restarting containers under load."""

import asyncio
from collections.abc import Awaitable

from tests.e2e.load import Load, Report
from tests.e2e.stack import Stack, docker, inspect
from tests.support.processes import wait_until

RECOVERY_SECONDS = 30


def crash(stack: Stack, container: str) -> None:
    """Kill a container's process, as the kernel does when memory runs out.

    Not `docker kill`: the engine does not restart what it was asked to end.
    """
    process = inspect(container)["State"]["Pid"]
    docker(
        *("run", "--rm", "--pid", "host", "--user", "0:0", "--cap-add", "KILL"),
        *("--entrypoint", "python", stack.settings["WEB_IMAGE"]),
        *("-c", f"import os; os.kill({process}, 9)"),
    )


def is_healthy(container: str) -> bool:
    state = inspect(container)["State"]
    health = state.get("Health", {"Status": "healthy"})  # nginx-exporter has no health check
    return bool(state["Running"] and health["Status"] == "healthy")


def under_load(stack: Stack, work: Awaitable[None], *, rate: float = 100) -> Report:
    """Run some work while requests come in, and for two seconds after it."""

    async def both() -> Report:
        async with Load(stack.http, stack.token, rate=rate) as load:
            await asyncio.sleep(1)
            await work
            await asyncio.sleep(2)
        return load.report

    return asyncio.run(both())


def wait_for_new_run(container: str, before: str) -> None:
    """Wait until a container is healthy again after its end.

    Args:
        before: when its former run started, from `started`.
    """
    wait_until(
        lambda: started(container) != before and is_healthy(container),
        seconds=RECOVERY_SECONDS,
        why=f"{container} is back",
        interval=0.2,
    )


def started(container: str) -> str:
    """When its run started, the last one if it has ended."""
    return str(inspect(container)["State"]["StartedAt"])


def crash_under_load(stack: Stack, *services: str, rate: float = 100) -> Report:
    """Crash a container of each service in turn; returns what came of the requests meanwhile."""

    async def crash_each() -> None:
        for service in services:
            container = stack.containers(service)[0]
            before = started(container)
            await asyncio.to_thread(crash, stack, container)
            await asyncio.to_thread(wait_for_new_run, container, before)

    return under_load(stack, crash_each(), rate=rate)
