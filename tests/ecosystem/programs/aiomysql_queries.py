"""aiomysql URL: queries, large values, streamed rows, transactions, a pool under load, cancels, killed connections."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import hashlib
import sys
import warnings

import aiomysql
import pymysql
from connecting import mysql
from loops import checked

warnings.simplefilter("ignore", aiomysql.Warning)
ADDRESS = mysql(sys.argv[1])


async def queries(connection: aiomysql.Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("show status like 'Ssl_cipher'")
        print("by TLS:", (await cursor.fetchone())[1] != "")
        sent = (None, 1, "分身", decimal.Decimal("2.50"), datetime.datetime(2026, 2, 3, 4, 5, 6))
        await cursor.execute("select %s, %s, %s, %s, cast(%s as datetime), x'00ff'", sent)
        print(await cursor.fetchone())
        await cursor.execute("drop table if exists item")
        await cursor.execute("create table item (id int primary key, name text) engine=innodb")
        await cursor.executemany("insert into item values (%s, %s)", [(n, f"item {n}") for n in range(5000)])
        print(cursor.rowcount)
        for query in ("selec 1", "insert into item values (1, 'again')", "select * from none"):
            try:
                await cursor.execute(query)
            except pymysql.MySQLError as e:
                print(type(e).__name__, e.args[0])
        await connection.commit()
        await cursor.execute("delete from item")
        await connection.rollback()
        await cursor.execute("select count(*) from item")
        print(await cursor.fetchone())
    blob = hashlib.sha256(b"seed").hexdigest() * (1 << 18)
    async with connection.cursor() as cursor:
        await cursor.execute("select %s", (blob,))
        print("16 MiB, a packet at a time, came back:", await cursor.fetchone() == (blob,))


async def streamed(connection: aiomysql.Connection) -> None:
    async with connection.cursor(aiomysql.SSDictCursor) as cursor:
        await cursor.execute("select seq, repeat('y', seq mod 500) as y from seq_1_to_20000")
        seen = 0
        async for row in cursor:
            seen += 1
            assert row == {"seq": seen, "y": "y" * (seen % 500)}
        print(seen)
    async with connection.cursor(aiomysql.SSCursor) as cursor:
        await cursor.execute("select seq from seq_1_to_5000")
        print(await cursor.fetchmany(3))
    async with connection.cursor() as cursor:
        await cursor.execute("select 'the rest was read'")
        print(await cursor.fetchone())


async def pool() -> None:
    async with aiomysql.create_pool(minsize=1, maxsize=10, **ADDRESS) as pool:

        async def work(number: int) -> int:
            total = 0
            for step in range(5):
                async with pool.acquire() as connection, connection.cursor() as cursor:
                    await cursor.execute("select %s + %s", (number, step))
                    total += (await cursor.fetchone())[0]
            return total

        print(sum(await asyncio.gather(*(work(number) for number in range(200)))))
        print(pool.size <= 10, pool.size == pool.freesize)


async def killed() -> None:
    killer = await aiomysql.connect(autocommit=True, **ADDRESS)

    async def ask(query: str) -> tuple:
        async with killer.cursor() as cursor:
            await cursor.execute(query)
            return await cursor.fetchone()

    async def sleeping(connection: aiomysql.Connection) -> asyncio.Task:
        cursor = await connection.cursor()
        task = asyncio.ensure_future(cursor.execute("select sleep(60)"))
        state = f"select state from information_schema.processlist where id = {connection.thread_id()}"
        while await ask(state) != ("User sleep",):
            await asyncio.sleep(0.01)
        return task

    connection = await aiomysql.connect(**ADDRESS)
    task = await sleeping(connection)
    await ask(f"kill query {connection.thread_id()}")
    print(await asyncio.gather(task, return_exceptions=True))
    task = await sleeping(connection)
    await ask(f"kill connection {connection.thread_id()}")
    (error,) = await asyncio.gather(task, return_exceptions=True)
    print(repr(error), connection.closed)
    # A cancelled query leaves answers on the way, so aiomysql gives the connection up.
    connection = await aiomysql.connect(**ADDRESS)
    task = await sleeping(connection)
    task.cancel()
    print(await asyncio.gather(task, return_exceptions=True), connection.closed)
    try:
        async with connection.cursor() as cursor:
            await cursor.execute("select 1")
    except Exception as e:
        print(repr(e))
    await killer.ensure_closed()


async def refused() -> None:
    for wrong in ({"password": "wrong"}, {"db": "none"}):
        try:
            await aiomysql.connect(**{**ADDRESS, **wrong})
        except pymysql.MySQLError as e:
            print(type(e).__name__, e.args[0])
    try:
        await aiomysql.connect(host="127.0.0.1", port=1)
    except pymysql.OperationalError as e:
        print(e.args[0])


@checked
async def main() -> None:
    connection = await aiomysql.connect(**ADDRESS)
    await queries(connection)
    await streamed(connection)
    await connection.ensure_closed()
    print("closed:", connection.closed)
    for part in (pool, killed, refused):
        await part()


if __name__ == "__main__":
    asyncio.run(main())
