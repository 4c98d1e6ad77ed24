"""What SERVER=granian refuses; tests/integration runs the service on it."""

import importlib
import sys

import pytest

from app.config import SettingsError
from tests.support.app_parts import make_settings

MODULE = "app.server.granian_server"


def test_granian_that_is_missing_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setitem(sys.modules, "granian", None)
    with pytest.raises(SettingsError, match="^SERVER: granian is not installed; pip install .*$"):
        importlib.import_module(MODULE)


@pytest.mark.parametrize("bind", ["127.0.0.1:1,127.0.0.1:2", "localhost"])
def test_an_address_it_cannot_listen_on_is_an_error_of_one_line(bind: str) -> None:
    server = pytest.importorskip(MODULE, reason="NO GRANIAN: see requirements-granian.txt")
    with pytest.raises(SettingsError, match="^BIND: .* for example BIND=0.0.0.0:8000$"):
        server.serve(make_settings(BIND=bind))
