"""aiohttp, server and client."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from commands import PYTHON

from .serving import APPS, serving, until
from .ways import RUN, Exchange

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


WAYS = {
    "asyncio": ([*PYTHON, str(APPS / "aiohttp_app.py")], "asyncio.unix_events"),
    "loop": ([*PYTHON, str(APPS / "aiohttp_app.py"), "own"], "fenshen"),
    "fenshen run": ([*RUN, str(APPS / "aiohttp_app.py")], "fenshen"),
}


@pytest.mark.needs("httpx")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("way", WAYS)
def test_run_app_ends_gracefully(way: str, number: signal.Signals, tmp_path: Path) -> None:
    import httpx

    command, loop = WAYS[way]
    with serving(command, tmp_path) as server, ThreadPoolExecutor(3) as pool:
        base = f"http://127.0.0.1:{server.port()}"
        assert httpx.get(f"{base}/loop").text == loop
        jobs = [pool.submit(httpx.get, f"{base}/slow", timeout=60) for _ in range(3)]
        until(lambda: server.events().count("slow began") == 3, "three requests are in flight")
        server.process.send_signal(number)
        assert [job.result().text for job in jobs] == ["done"] * 3
        assert server.ended() == 0
        assert server.events()[-2:] == ["ticking ended", "cleaned up"]
        assert "Traceback" not in server.text
        assert "fenshen:" not in server.text
