"""psycopg URL: its waits are `add_reader` and `add_writer` on libpq's socket. Queries, COPY, pipelines, notifications,
cancels, a pool, killed connections.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys

import psycopg
import psycopg_pool
from loops import checked
from psycopg.types.json import Jsonb

URL = sys.argv[1]
logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # its warnings have times in them


async def queries(connection: psycopg.AsyncConnection) -> None:
    cursor = await connection.execute("select %s, %s::numeric, %s, %b", [1, "2.50", Jsonb({"a": [None]}), b"\x00\xff"])
    print(await cursor.fetchone())
    await connection.execute("create temp table item (id int primary key, name text)")
    async with connection.cursor() as cursor:
        await cursor.executemany("insert into item values (%s, %s)", [(n, f"item {n}") for n in range(2000)])
        print(cursor.rowcount)
    try:
        async with connection.transaction():
            await connection.execute("insert into item values (-1, 'dropped')")
            await connection.execute("insert into item values (1, 'again')")
    except psycopg.errors.UniqueViolation as e:
        print(e.sqlstate, e.diag.message_primary)
    async with connection.transaction(), connection.cursor("named") as cursor:
        cursor.itersize = 100
        await cursor.execute("select id from item order by id")
        print([row async for row in cursor] == [(n,) for n in range(2000)])
    blob = hashlib.sha256(b"seed").digest() * (1 << 19)
    cursor = await connection.execute("select %b::bytea", [blob], binary=True)
    print("16 MiB came back:", await cursor.fetchone() == (blob,))


async def copies(connection: psycopg.AsyncConnection) -> None:
    await connection.execute("create temp table line (id int, text text)")
    async with connection.cursor() as cursor:
        async with cursor.copy("copy line from stdin") as copy:
            for number in range(100_000):
                await copy.write_row((number, "x" * (number % 60)))
        print(cursor.rowcount)
        seen = hashlib.sha256()
        async with cursor.copy("copy (select * from line order by id) to stdout") as copy:
            async for data in copy:
                seen.update(data)
        print(seen.hexdigest()[:16])
        try:
            async with cursor.copy("copy line from stdin") as copy:
                await copy.write("1\ta\n" * 100_000)
                raise LookupError("no more")
        except LookupError as e:
            print("undone after", repr(e), await (await cursor.execute("select count(*) from line")).fetchone())


async def pipelines(connection: psycopg.AsyncConnection) -> None:
    async with connection.pipeline() as pipeline:
        cursors = [await connection.execute("select %s::int", [number]) for number in range(3000)]
        await pipeline.sync()
        print([await cursor.fetchone() for cursor in cursors] == [(number,) for number in range(3000)])
    try:
        async with connection.pipeline():
            await connection.execute("select 1")
            await connection.execute("select 1/0")
    except psycopg.errors.DivisionByZero as e:
        print(e)
    print(await (await connection.execute("select 'goes on'")).fetchone())


async def notifications(connection: psycopg.AsyncConnection) -> None:
    await connection.execute("listen news")

    async def speak() -> None:
        async with await psycopg.AsyncConnection.connect(URL, autocommit=True) as speaker:
            for number in range(500):
                await speaker.execute("select pg_notify('news', %s)", [str(number)])

    task = asyncio.ensure_future(speak())
    heard = []
    async for notification in connection.notifies():
        heard.append(notification.payload)
        if notification.payload == "499":
            break
    await task
    print(heard == [str(number) for number in range(500)])
    print([n.payload async for n in connection.notifies(timeout=0.05)])
    await connection.execute("unlisten news")


async def sleeping(connection: psycopg.AsyncConnection) -> asyncio.Task[psycopg.AsyncCursor]:
    """A task whose query the server is at."""
    task = asyncio.ensure_future(connection.execute("select pg_sleep(60)"))
    query = "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s"
    async with await psycopg.AsyncConnection.connect(URL, autocommit=True) as watcher:
        while await (await watcher.execute(query, [connection.info.backend_pid])).fetchone() != (True,):
            await asyncio.sleep(0.01)
    return task


async def cancelled(connection: psycopg.AsyncConnection) -> None:
    for _ in range(3):
        task = await sleeping(connection)
        task.cancel()
        (error,) = await asyncio.gather(task, return_exceptions=True)
        print(type(error).__name__, await (await connection.execute("select 'and goes on'")).fetchone())
    task = await sleeping(connection)
    await connection.cancel_safe()
    (error,) = await asyncio.gather(task, return_exceptions=True)
    print(type(error).__name__, error)


async def pool() -> None:
    async with psycopg_pool.AsyncConnectionPool(URL, min_size=4, max_size=10, open=False, timeout=60) as pool:
        await pool.wait()

        async def work(number: int) -> int:
            total = 0
            for step in range(5):
                async with pool.connection() as connection:
                    total += (await (await connection.execute("select %s::int", [number + step])).fetchone())[0]
            return total

        print(sum(await asyncio.gather(*(work(number) for number in range(200)))), pool.get_stats()["pool_size"] <= 10)
        try:
            async with pool.connection() as connection, await psycopg.AsyncConnection.connect(URL) as killer:
                task = await sleeping(connection)
                await killer.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
                await task
        except psycopg.errors.AdminShutdown as e:
            print(e)
        print(sum(await asyncio.gather(*(work(number) for number in range(20)))))


async def refused() -> None:
    for url in (URL.replace("secret", "wrong"), "postgresql://x:x@127.0.0.1:1/x?sslmode=disable"):
        try:
            await psycopg.AsyncConnection.connect(url)
        except psycopg.OperationalError as e:
            print(str(e).splitlines()[0].partition(": ")[2])


@checked
async def main() -> None:
    async with await psycopg.AsyncConnection.connect(URL, autocommit=True) as connection:
        for part in (queries, copies, pipelines, notifications, cancelled):
            await part(connection)
    await pool()
    await refused()


if __name__ == "__main__":
    asyncio.run(main())
