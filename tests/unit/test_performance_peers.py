"""The bench's peers are what they are said to be, where that can be told without running them."""

import gc
import importlib
import os
import subprocess
import sys

from app.server.worker import Worker
from tests.performance.process import ROOT
from tests.support.app_parts import make_settings

LOADED = """
import sys, sysconfig
__import__(sys.argv[1])
site = sysconfig.get_path("purelib")
for name, module in sys.modules.items():
    if (getattr(module, "__file__", None) or "").startswith(site):
        print(name.partition(".")[0])
"""


def third_party(module: str) -> set[str]:
    """What a process has loaded of other people's packages once it has imported `module`."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, module],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": ".", "REDIS_URL": "redis://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_peer_of_libraries_loads_those_of_the_service_and_no_others() -> None:
    assert third_party("tests.performance.peers.libraries") == third_party("app.main") - {
        "gunicorn"  # which has loaded itself when it loads the peer
    }


def test_flask_alone_has_the_services_gunicorn_settings() -> None:
    settings = make_settings()
    try:
        alone = importlib.import_module("tests.performance.peers.bare_conf")
    finally:
        gc.enable()  # which it turns off

    assert (alone.threads, alone.keepalive) == (settings.web_threads, settings.keep_alive_seconds)
    assert alone.worker_class == f"{Worker.__base__.__module__}.{Worker.__base__.__name__}"
