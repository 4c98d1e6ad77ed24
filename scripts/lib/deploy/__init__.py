"""Puts a version of the service into service without dropping a request; see docs/DEPLOYMENT.md.

Read `plan.py` first: it says in which steps. `rollout.py` takes them, `traffic.py` tells nginx
where requests go, `gate.py` judges a version by what Prometheus has counted, `journal.py` holds the
lock and writes the history.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class Problem(Exception):
    """Something a person can do something about; the text is one line."""
