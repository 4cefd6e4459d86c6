"""anyio on its asyncio back end."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import PYTHON, run

from .ways import PROGRAMS, Exchange

pytestmark = pytest.mark.needs("anyio", "trustme")


def test_everything(exchange: Exchange, tmp_path: Path) -> None:
    out = exchange("anyio_streams.py")
    assert "TCP: True\nafter the end: b'the last words'\n100 at once: 100 True\n" in out
    env = {"EXPECTED_LOOP": "fenshen", "HANGS_AFTER": "50"}
    by_options = run([*PYTHON, str(PROGRAMS / "anyio_streams.py"), "options"], cwd=tmp_path, **env)
    assert by_options == (0, f"on fenshen\n{out}", "")
