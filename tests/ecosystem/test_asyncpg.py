"""asyncpg and a real PostgreSQL."""

from __future__ import annotations

import pytest

from .servers import Server
from .ways import Exchange

pytestmark = pytest.mark.needs("asyncpg")


@pytest.mark.parametrize("by", ["url", "tls", "unix"])
def test_queries(exchange: Exchange, postgres: Server, by: str) -> None:
    out = exchange("asyncpg_queries.py", getattr(postgres, by))
    assert "['item 0', 'item 42', 'item 4999', None]\n5000 ['item 100', 'item 101']\n" in out
    assert "23505 duplicate key value" in out
    assert "[<Record id=-1 name='kept'>]" in out
    assert "COPY 100000\nCOPY 100000\n" in out
    assert "undone after LookupError('no more') 100000\n16 MiB came back: True\n" in out


@pytest.mark.parametrize("by", ["url", "tls"])
def test_pool(exchange: Exchange, postgres: Server, by: str) -> None:
    out = exchange("asyncpg_pool.py", getattr(postgres, by))
    assert out.startswith("208000 by 10 connections; idle: 10\n")
    assert f"new ones: {list(range(30))}\nclosing waited: answered\npool is closed\n" in out


@pytest.mark.parametrize("by", ["url", "tls"])
def test_notifications_cancels_and_kills(exchange: Exchange, postgres: Server, by: str) -> None:
    out = exchange("asyncpg_faults.py", getattr(postgres, by))
    assert out.startswith("news 1002 True 7999\nand it still answers last\n")
    assert "same connection: True\nout of time; in time\nCancelledError after a large answer was cut off\n" in out
    assert "the idle one was told: True True\n" in out
    assert "InvalidPasswordError" in out
