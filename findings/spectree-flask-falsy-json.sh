#!/usr/bin/env bash
# spectree 3.0.0 with Flask: the JSON documents [], null, false, 0 and "" are validated as if they were {}.
#
# If all fields of the model have defaults, the view runs with those defaults. A JSON Merge Patch or a
# settings endpoint has such models, and so reports success for a body of the wrong type.
#
# Expected: 422, because none of the five is an object. [1], true and 1 do get 422.
# Seen (2026-11-30, Flask 3.1.3, pydantic 2.14.4, Python 3.11): 200 for all five.
# Source: spectree/plugins/flask_plugin.py, request_validation: `request.get_json(silent=True) or {}`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet spectree==3.0.0 flask==3.1.3 pydantic==2.14.4

seen=$("$folder/venv/bin/python" - <<'PYTHON'
from flask import Flask
from pydantic import BaseModel
from spectree import SpecTree


class Settings(BaseModel):
    theme: str = "light"


app = Flask("app")


@app.put("/settings")
@SpecTree("flask").validate(json=Settings)
def put_settings(json: Settings) -> dict[str, str]:
    return json.model_dump()


client = app.test_client()
for body in ("[]", "null", "false", "0", '""', "[1]", "true", "1"):
    answer = client.put("/settings", data=body, content_type="application/json")
    print(body, answer.status_code)
PYTHON
)

echo "$seen"
[[ $seen == $'[] 200\nnull 200\nfalse 200\n0 200\n"" 200\n[1] 422\ntrue 422\n1 422' ]]
