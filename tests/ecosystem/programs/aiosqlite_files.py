"""aiosqlite: queries, transactions, tasks on one connection, connections on one file, a cancel, a backup."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import aiosqlite
from loops import checked


async def queries() -> None:
    async with aiosqlite.connect("data.db") as db:
        db.row_factory = aiosqlite.Row
        await db.execute("create table item (id integer primary key, name text, data blob)")
        rows = [(n, f"item {n}", bytes([n % 256]) * n) for n in range(2000)]
        await db.executemany("insert into item values (?, ?, ?)", rows)
        await db.commit()
        async with db.execute("select * from item order by id") as cursor:
            print([tuple(row) async for row in cursor] == rows)
        await db.create_function("twice", 1, lambda text: text * 2)
        print(tuple((await db.execute_fetchall("select twice(name) from item where id = 7"))[0]))
        try:
            await db.execute("insert into item values (1, 'again', null)")
        except sqlite3.IntegrityError as e:
            print(e)
        await db.execute("insert into item values (-1, 'dropped', null)")
        await db.rollback()
        async with db.execute("select min(id), count(*) from item") as cursor:
            print(tuple(await cursor.fetchone()))
        async with aiosqlite.connect("copy.db") as copy:
            await db.backup(copy)
            print(tuple((await copy.execute_fetchall("select count(*) from item"))[0]))
        print([len(line) async for line in db.iterdump()][:3])


async def together() -> None:
    async with aiosqlite.connect("data.db") as db:

        async def ask(number: int) -> int:
            async with db.execute("select length(data) from item where id = ?", (number,)) as cursor:
                return int((await cursor.fetchone())[0])

        print(await asyncio.gather(*(ask(number) for number in range(1000))) == list(range(1000)))

    async def add(number: int) -> None:
        async with aiosqlite.connect("data.db", timeout=60) as own:
            for step in range(5):
                await own.execute("insert into item values (?, 'theirs', null)", (10_000 + number * 5 + step,))
                await own.commit()

    await asyncio.gather(*(add(number) for number in range(10)))
    async with aiosqlite.connect("data.db") as db:
        print(tuple((await db.execute_fetchall("select count(*) from item where name = 'theirs'"))[0]))


async def cancelled() -> None:
    begun = threading.Semaphore(0)
    endless = "with recursive n(x) as (select begun() union all select x + 1 from n) select count(*) from n"
    async with aiosqlite.connect(":memory:") as db:
        await db.create_function("begun", 0, begun.release)
        task = asyncio.ensure_future(db.execute_fetchall(endless))
        await asyncio.get_running_loop().run_in_executor(None, begun.acquire)
        task.cancel()
        await db.interrupt()
        print(await asyncio.gather(task, return_exceptions=True))
        print(tuple((await db.execute_fetchall("select 'goes on'"))[0]))
        task = asyncio.ensure_future(db.execute_fetchall(endless))
        await asyncio.get_running_loop().run_in_executor(None, begun.acquire)
        await db.interrupt()
        (error,) = await asyncio.gather(task, return_exceptions=True)
        print(repr(error))
    try:
        await db.execute("select 1")
    except ValueError as e:
        print(e)


@checked
async def main() -> None:
    for part in (queries, together, cancelled):
        await part()


if __name__ == "__main__":
    asyncio.run(main())
