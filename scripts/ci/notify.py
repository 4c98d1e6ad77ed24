#!/usr/bin/env python3
"""Tells a chat channel how a deployment ended: {"text": …}, as Slack, Mattermost and others read.

The address comes from the environment, because it is a secret: NOTIFY_WEBHOOK_URL.
"""

import os

import runner

SIGNS = {"success": "✅", "failure": "❌", "cancelled": "⚪", "skipped": "⚪"}


def message(result: str, what: str, link: str) -> str:
    return f"{SIGNS[result]} {what}: {result}\n{link}".rstrip()


def main() -> int:
    parser = runner.parser(__doc__, "print the message, send nothing")
    parser.add_argument("--result", required=True, choices=SIGNS)
    parser.add_argument("--what", required=True, help='e.g. "shop 1.2.3 to production"')
    parser.add_argument("--link", default="", help="where to read more")
    arguments = parser.parse_args()
    text = message(arguments.result, arguments.what, arguments.link)
    url = os.environ.get("NOTIFY_WEBHOOK_URL", "")
    if arguments.dry_run:
        print(text)
    elif not url:
        runner.summarise("The notification is skipped: the secret NOTIFY_WEBHOOK_URL is not set.")
    else:
        runner.request(url, body={"text": text}, what="the webhook in NOTIFY_WEBHOOK_URL")
    return 0


if __name__ == "__main__":
    runner.run(main)
