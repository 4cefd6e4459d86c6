"""asyncpg URL: a pool under load, its connections killed by the server, and its end."""

from __future__ import annotations

import asyncio
import sys

import asyncpg
from loops import checked


async def load(pool: asyncpg.Pool) -> None:
    busy = most = 0

    async def work(number: int) -> int:
        nonlocal busy, most
        total = 0
        for step in range(10):
            async with pool.acquire() as connection, connection.transaction():
                busy += 1
                most = max(most, busy)
                total += await connection.fetchval("select $1::int + $2::int", number, step)
                busy -= 1
        return total

    totals = await asyncio.gather(*(work(number) for number in range(200)))
    assert 1 < most <= 10
    print(sum(totals), "by", pool.get_size(), "connections; idle:", pool.get_idle_size())


async def waiting(pool: asyncpg.Pool) -> None:
    held = [await pool.acquire() for _ in range(10)]
    try:
        await pool.acquire(timeout=0.05)
    except (asyncio.TimeoutError, TimeoutError):
        print("nobody gave one back in time")
    waiter = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0.01)
    waiter.cancel()
    print("cancelled:", await asyncio.gather(waiter, return_exceptions=True))
    for connection in held:
        await pool.release(connection)
    print("idle again:", pool.get_idle_size())


async def killed(pool: asyncpg.Pool, url: str) -> None:
    """The server ends every connection: busy ones say so, the pool makes new ones."""
    killer = await asyncpg.connect(url)

    async def sleep() -> str:
        try:
            await pool.fetchval("select pg_sleep(60)")
        except asyncpg.PostgresError as e:
            return type(e).__name__
        return "slept"

    sleepers = [asyncio.ensure_future(sleep()) for _ in range(5)]
    query = "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'"
    while await killer.fetchval(query) < 5:
        await asyncio.sleep(0.01)
    pids = await killer.fetchval("select array_agg(pid) from pg_stat_activity where application_name = 'pool'")
    await killer.fetch("select pg_terminate_backend(pid) from unnest($1::int[]) pid", pids)
    print("killed:", len(pids), await asyncio.gather(*sleepers))
    while await killer.fetchval("select count(*) from pg_stat_activity where pid = any($1::int[])", pids):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    print("new ones:", await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in range(30))))
    await killer.close()


@checked
async def main() -> None:
    url = sys.argv[1]
    settings = {"application_name": "pool"}
    async with asyncpg.create_pool(url, min_size=10, max_size=10, server_settings=settings) as pool:
        await load(pool)
        await waiting(pool)
        await killed(pool, url)
        last = asyncio.ensure_future(pool.fetchval("select 'answered', pg_sleep(0.1)"))
        await asyncio.sleep(0.02)
    print("closing waited:", await last)
    try:
        await pool.fetchval("select 1")
    except asyncpg.InterfaceError as e:
        print(e)
    # One that ends the hard way.
    pool = await asyncpg.create_pool(url, min_size=3, max_size=3)
    stuck = asyncio.ensure_future(pool.fetchval("select pg_sleep(60)"))
    await asyncio.sleep(0.05)
    pool.terminate()
    (error,) = await asyncio.gather(stuck, return_exceptions=True)
    print("terminated:", type(error).__name__)


if __name__ == "__main__":
    asyncio.run(main())
