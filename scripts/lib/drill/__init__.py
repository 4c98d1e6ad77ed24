"""Drills: something is broken on purpose, an alert fires, it is mended, the alert ends.

`drills.py` says what each one breaks and which alert must follow; `__main__.py` goes through the
steps; `stack.py` asks and breaks, `traffic.py` are the visitors meanwhile.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class Problem(Exception):
    """Something a person can do something about; the text is one line."""
