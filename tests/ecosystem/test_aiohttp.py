"""aiohttp, server and client."""

from __future__ import annotations

import pytest

from .ways import Exchange

pytestmark = pytest.mark.needs("aiohttp", "trustme")


def test_pages(exchange: Exchange) -> None:
    out = exchange("aiohttp_pages.py")
    assert "16 MiB came back: True\n" in out
    assert "upload: 16777216 True\n" in out
    assert "connections for 20 requests: 1\n" in out


def test_connections(exchange: Exchange) -> None:
    out = exchange("aiohttp_connections.py")
    assert "after them: True\n" in out
    assert "8 MiB by a Unix socket: True\n" in out
    assert "40 at once over TLS: 40\n8 MiB over TLS: True\n" in out
    assert "stranger's authority was refused\nno certificate was refused\nplain text to TLS: False\n" in out
