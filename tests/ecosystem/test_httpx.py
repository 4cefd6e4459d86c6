"""httpx, async and sync, with HTTP/1.1 and HTTP/2; its peer is Quart under hypercorn."""

from __future__ import annotations

import pytest

from .ways import Exchange

pytestmark = pytest.mark.needs("httpx", "h2", "hypercorn", "quart", "trustme")


def test_clients(exchange: Exchange) -> None:
    out = exchange("httpx_hypercorn.py")
    assert out.count("1 MiB came back: True\nstreamed up: True\n") == 4
    assert out.count("40 at once: True\n") == 2
    assert "HTTP/2 200 PUT b'body'\n" in out
    assert "not trusted: True\n" in out
