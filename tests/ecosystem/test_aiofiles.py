"""aiofiles: `run_in_executor` for every operation on a file."""

from __future__ import annotations

import pytest

from .ways import Exchange

pytestmark = pytest.mark.needs("aiofiles")


def test_files(exchange: Exchange) -> None:
    out = exchange("aiofiles_files.py")
    assert "line 0 分身\n line 999 分身\n\nline 1000\n" in out
    assert "[b'some\\n', b'lines\\n'] True\nFalse\n[CancelledError('')] True\n" in out
