"""redis-py's asyncio client and a real Redis."""

from __future__ import annotations

import pytest

from .servers import Server
from .ways import Exchange

pytestmark = [pytest.mark.needs("redis"), pytest.mark.parametrize("by", ["url", "tls", "unix"])]


def test_commands_pipelines_and_pool(exchange: Exchange, redis: Server, by: str) -> None:
    out = exchange("redis_commands.py", getattr(redis, by))
    assert "16 MiB came back: True\n" in out
    assert "True 20000\n" in out
    assert "Watched variable changed. b'100'\nTrue b'5000' b'100'\nConnectionError" in out


def test_publish_subscribe_and_blocking(exchange: Exchange, redis: Server, by: str) -> None:
    out = exchange("redis_waiting.py", getattr(redis, by))
    assert "10\nTrue\nsubscribe None\nNone\nTrue\n[b'kept']\nout of time; True\n300 0\n" in out
