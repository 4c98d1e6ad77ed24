"""`python -m app [GUNICORN_ARGUMENTS]`: check the settings, then let Gunicorn serve.

Gunicorn reads WEB_CONCURRENCY and FORWARDED_ALLOW_IPS by itself, before its settings file, and
ends in a traceback when they are wrong; here they end in the one line that all settings do.
"""

import gc
import runpy
import signal
import sys
from types import FrameType

# Until all is loaded: what is imported stays, and looking through it again and again takes time.
gc.disable()

# pylint: disable=wrong-import-position
from app.config import Settings, SettingsError  # noqa: E402


def _end(number: int, _frame: FrameType | None) -> None:
    """Until the server has handlers of its own: end in order, so that what was made is removed."""
    sys.exit(0 if number == signal.SIGTERM else 128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    try:
        settings = Settings.from_env()
        if settings.server == "granian":
            from app import granian_server

            granian_server.serve(settings)
            sys.exit()
    except SettingsError as error:
        sys.exit(f"devops-starter: {error}")
    sys.argv[:1] = ["gunicorn", "-c", "python:app.gunicorn_conf"]
    # In this process, so that a debugger or a profiler that has started it stays with it.
    runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)
