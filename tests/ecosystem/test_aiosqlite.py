"""aiosqlite: a thread for each connection, answering by `call_soon_threadsafe`."""

from __future__ import annotations

import pytest

from .ways import Exchange

pytestmark = pytest.mark.needs("aiosqlite")


def test_files_and_memory(exchange: Exchange) -> None:
    out = exchange("aiosqlite_files.py")
    assert out.startswith("True\n('item 7item 7',)\nUNIQUE constraint failed: item.id\n(0, 2000)\n(2000,)\n")
    assert "True\n(50,)\n[CancelledError('')]\n('goes on',)\nOperationalError('interrupted')\n" in out
