"""What is printed once the service answers: where it is, and three commands to try."""

import os


def welcome(base_url: str) -> str:
    embedded = os.environ.get("REDIS_URL", "") in ("", "memory://")
    kept = " (embedded store: nothing is kept)" if embedded else ""
    entry = f"{base_url}/api/v1/cache/greeting"
    body = """-H 'Content-Type: application/json' -d '{"hello": "world"}'"""
    return f"""
The service answers{kept}:

  Console    {base_url}/
  API docs   {base_url}/docs
  Health     {base_url}/health
  Metrics    {base_url}/metrics

Three commands to try:

  curl {base_url}/health
  curl -X PUT {authorization()}{body} '{entry}?ttl=60'
  curl {entry}
"""


def authorization() -> str:
    """Writing needs a token once API_TOKENS is set. The shell fills it in: no secret is printed."""
    if os.environ.get("API_TOKENS"):
        return '-H "Authorization: Bearer ${API_TOKENS%%,*}" '
    if os.environ.get("API_TOKENS_FILE"):
        first = """tr ',' '\\n' <"$API_TOKENS_FILE" | head -n 1"""
        return f'-H "Authorization: Bearer $({first})" '
    return ""
