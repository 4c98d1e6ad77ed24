"""GET of a JSON document, such as an answer of Prometheus."""

import json
import urllib.request
from typing import Any

from command_error import CommandError


def get_json(url: str, seconds: float = 15) -> Any:
    """The document at `url`, which must answer within so many seconds.

    Raises:
        CommandError: no answer, an error, or not JSON; the line names the server.
    """
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:  # nosec B310
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise CommandError(f"{url.split('/api/')[0]} does not answer: {error}") from None
