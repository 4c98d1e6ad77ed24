"""The entry point: `app`, the WSGI application that Gunicorn serves (see gunicorn_conf.py)."""

import logging
import sys

from app import create_app
from app.config import Settings, SettingsError
from app.utils import logger

try:
    _settings = Settings.from_env()
except SettingsError as error:
    sys.exit(f"devops-starter: {error}")

logger.configure(_settings)
if _settings.embedded_store:
    logging.getLogger("app").warning(
        "Embedded store (REDIS_URL=memory://): one worker, and nothing is kept when it ends"
    )
app = create_app(_settings)
