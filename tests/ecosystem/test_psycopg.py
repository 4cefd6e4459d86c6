"""psycopg 3 and a real PostgreSQL."""

from __future__ import annotations

import pytest

from .servers import Server
from .ways import Exchange

pytestmark = pytest.mark.needs("psycopg", "psycopg_pool")


@pytest.mark.parametrize("by", ["url", "tls", "unix"])
def test_queries_copies_cancels_and_pool(exchange: Exchange, postgres: Server, by: str) -> None:
    out = exchange("psycopg_queries.py", getattr(postgres, by))
    assert out.startswith("(1, Decimal('2.50'), {'a': [None]}, b'\\x00\\xff')\n2000\n23505 duplicate key value")
    assert "16 MiB came back: True\n100000\n" in out
    assert "CancelledError ('and goes on',)\nQueryCanceled canceling statement due to user request\n" in out
    assert "101500 True\nterminating connection due to administrator command\n" in out
