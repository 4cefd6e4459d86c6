"""aiomysql and a real MariaDB. For TLS it takes the socket from one transport and gives it to another."""

from __future__ import annotations

import pytest

from .servers import Server
from .ways import Exchange

pytestmark = pytest.mark.needs("aiomysql")


@pytest.mark.parametrize("by", ["url", "tls", "unix"])
def test_queries_pool_cancels_and_kills(exchange: Exchange, mariadb: Server, by: str) -> None:
    out = exchange("aiomysql_queries.py", getattr(mariadb, by))
    assert out.startswith(f"by TLS: {by == 'tls'}\n")
    assert "came back: True\n20000\n[(1,), (2,), (3,)]\n('the rest was read',)\nclosed: True\n101500" in out
