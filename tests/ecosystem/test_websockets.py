"""websockets, both ends of it."""

from __future__ import annotations

import pytest

from .ways import Exchange

pytestmark = pytest.mark.needs("websockets")


def test_server_and_clients(exchange: Exchange) -> None:
    out = exchange("websockets_echo.py")
    assert "8 MiB came back: True\n8 MiB came back uncompressed: True\n" in out
    assert "closed by the server: 4001 (private use) as asked\n" in out
    assert "too large: 1009" in out
