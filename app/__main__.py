"""`python -m app [GUNICORN_ARGUMENTS]`: check the settings, then let Gunicorn serve.

Gunicorn reads WEB_CONCURRENCY and FORWARDED_ALLOW_IPS by itself, before its settings file, and
ends in a traceback when they are wrong; here they end in the one line that all settings do.
"""

import os
import sys

from app.config import Settings, SettingsError

COMMAND = [sys.executable, "-m", "gunicorn", "-c", "python:app.gunicorn_conf"]

if __name__ == "__main__":
    try:
        Settings.from_env()
    except SettingsError as error:
        sys.exit(f"devops-starter: {error}")
    os.execv(sys.executable, COMMAND + sys.argv[1:])  # nosec B606
