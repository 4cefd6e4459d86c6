"""asyncpg URL: values of all types, prepared statements, cursors, transactions, COPY in and out, large ones, errors."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import hashlib
import io
import json
import sys
import uuid

import asyncpg
from loops import checked

MEGABYTE = 1 << 20


async def values(connection: asyncpg.Connection) -> None:
    sent = [
        None,
        True,
        -(2**63),
        "分身",
        b"\x00\xff",
        decimal.Decimal("1.000000000000000000001"),
        datetime.datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=datetime.timezone.utc),
        uuid.UUID(int=1),
        [[1, 2], [3, None]],
    ]
    types = ["int", "bool", "int8", "text", "bytea", "numeric", "timestamptz", "uuid", "int[]"]
    marks = ", ".join(f"${number}::{kind}" for number, kind in enumerate(types, 1))
    row = await connection.fetchrow(f"select {marks}", *sent)
    print(list(row))
    assert list(row) == sent
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    print(await connection.fetchval("select $1::jsonb || '{\"b\": 2}'", {"a": [1, None]}))


async def statements(connection: asyncpg.Connection) -> None:
    await connection.execute("create temp table item (id int primary key, name text)")
    await connection.executemany("insert into item values ($1, $2)", [(n, f"item {n}") for n in range(5000)])
    statement = await connection.prepare("select name from item where id = $1")
    print([await statement.fetchval(n) for n in (0, 42, 4999, 5000)])
    async with connection.transaction():
        seen = 0
        async for record in connection.cursor("select id from item order by id", prefetch=64):
            assert record["id"] == seen
            seen += 1
        cursor = await connection.cursor("select name from item order by id")
        await cursor.forward(100)
        print(seen, [record["name"] for record in await cursor.fetch(2)])


async def transactions(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await connection.execute("insert into item values (-1, 'kept')")
        try:
            async with connection.transaction():
                await connection.execute("insert into item values (-2, 'dropped')")
                await connection.execute("insert into item values (-1, 'again')")
        except asyncpg.UniqueViolationError as e:
            print(e.sqlstate, e)
    print(await connection.fetch("select * from item where id < 0"))
    for query in ("selec 1", "select 1/0", "select nothing from item"):
        try:
            await connection.fetch(query)
        except asyncpg.PostgresError as e:
            print(type(e).__name__, e)
    # One connection does one thing at a time.
    first = asyncio.ensure_future(connection.fetchval("select pg_sleep(0.05)"))
    await asyncio.sleep(0)
    try:
        await connection.fetchval("select 1")
    except asyncpg.InterfaceError as e:
        print(e)
    await first


async def copies(connection: asyncpg.Connection) -> None:
    await connection.execute("create temp table line (id int, text text)")
    count = 100_000
    print(await connection.copy_records_to_table("line", records=((n, "x" * (n % 60)) for n in range(count))))
    out = io.BytesIO()
    print(await connection.copy_from_query("select * from line order by id", output=out, format="csv"))
    print(len(out.getvalue()), hashlib.sha256(out.getvalue()).hexdigest()[:16])

    async def pieces(size: int = 7919):
        data = out.getvalue()
        for start in range(0, len(data), size):
            yield data[start : start + size]

    await connection.execute("truncate line")
    print(await connection.copy_to_table("line", source=pieces(), format="csv"))
    print(await connection.fetchval("select md5(string_agg(id || text, ',' order by id)) from line"))
    # A source that fails half way: the copy is undone, and the connection goes on.

    async def broken():
        yield b"1,a\n" * 100_000
        raise LookupError("no more")

    try:
        await connection.copy_to_table("line", source=broken(), format="csv")
    except LookupError as e:
        print("undone after", repr(e), await connection.fetchval("select count(*) from line"))


async def large(connection: asyncpg.Connection) -> None:
    blob = hashlib.sha256(b"seed").digest() * (16 * MEGABYTE // 32)
    print("16 MiB came back:", await connection.fetchval("select $1::bytea", blob) == blob)
    rows = await connection.fetch("select n, repeat('y', n % 1000) as y from generate_series(1, 20000) n")
    print(len(rows), sum(len(row["y"]) for row in rows))


@checked
async def main() -> None:
    connection = await asyncpg.connect(sys.argv[1], timeout=30)
    for part in (values, statements, transactions, copies, large):
        await part(connection)
    transport = connection._transport
    await connection.close()
    print("closed:", connection.is_closed(), transport.is_closing())


if __name__ == "__main__":
    asyncio.run(main())
