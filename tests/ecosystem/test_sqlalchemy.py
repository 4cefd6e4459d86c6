"""SQLAlchemy's asyncio extension over each driver."""

from __future__ import annotations

import pytest

from .servers import Server
from .ways import Exchange

pytestmark = pytest.mark.needs("sqlalchemy", "greenlet")


def holds(out: str) -> None:
    assert out.startswith("['book 42.0', 'book 42.1', 'book 42.2', 'book 42.3', 'book 42.4']\n500\n")
    assert "IntegrityError 100\n['kept']\n500\n[50, 50, 50, 50, 50, 50, 50, 50, 50, 50]\n500 0\n" in out


@pytest.mark.needs("asyncpg")
def test_over_asyncpg(exchange: Exchange, postgres: Server) -> None:
    url = postgres.url.replace("postgresql:", "postgresql+asyncpg:").replace("sslmode=", "ssl=")
    out = exchange("sqlalchemy_models.py", url, "select pg_sleep(60)")
    holds(out)
    assert out.endswith("goes on\n")


@pytest.mark.needs("aiomysql")
def test_over_aiomysql(exchange: Exchange, mariadb: Server) -> None:
    out = exchange("sqlalchemy_models.py", mariadb.url.replace("mysql:", "mysql+aiomysql:"), "select sleep(60)")
    holds(out)
    assert out.endswith("goes on\n")


@pytest.mark.needs("aiosqlite")
def test_over_aiosqlite(exchange: Exchange) -> None:
    holds(exchange("sqlalchemy_models.py", "sqlite+aiosqlite:///data.db", ""))
