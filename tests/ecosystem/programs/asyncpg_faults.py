"""asyncpg URL: notifications, queries cancelled and out of time, connections killed and refused, silent servers."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import asyncpg
from loops import checked

OUT_OF_TIME = (asyncio.TimeoutError, TimeoutError)  # one type from Python 3.11 on


async def notifications(url: str) -> None:
    listener, speaker = await asyncpg.connect(url), await asyncpg.connect(url)
    heard: list[str] = []
    all_heard = asyncio.get_running_loop().create_future()

    def hear(connection: Any, pid: int, channel: str, payload: str) -> None:
        assert (connection, pid) == (listener, speaker.get_server_pid())
        heard.append(payload)
        if payload == "last":
            all_heard.set_result(channel)

    await listener.add_listener("news", hear)
    for number in range(1000):
        await speaker.execute(f"notify news, '{number}'")
    await speaker.execute("select pg_notify('news', repeat('z', 7999))")
    await speaker.execute("notify news, 'last'")
    print(await all_heard, len(heard), heard[:1000] == [str(n) for n in range(1000)], len(heard[1000]))
    await listener.remove_listener("news", hear)
    await speaker.execute("notify news, 'unheard'")
    print(await listener.fetchval("select 'and it still answers'"), heard[-1])
    await asyncio.gather(listener.close(), speaker.close())


async def cancelled(url: str) -> None:
    connection, watcher = await asyncpg.connect(url), await asyncpg.connect(url)
    pid = connection.get_server_pid()

    async def waits(event: str, state: str) -> None:
        # A query counts as active as soon as it is parsed, and what cancels it before it runs is ignored.
        look = "select wait_event, state from pg_stat_activity where pid = $1"
        while tuple(await watcher.fetchrow(look, pid)) != (event, state):
            await asyncio.sleep(0.01)

    for _ in range(5):
        task = asyncio.ensure_future(connection.fetchval("select pg_sleep(60)"))
        await waits("PgSleep", "active")
        task.cancel()
        (error,) = await asyncio.gather(task, return_exceptions=True)
        assert type(error) is asyncio.CancelledError, error
        await waits("ClientRead", "idle")
        assert await connection.fetchval("select 1") == 1
    print("cancelled five times, and it is the same connection:", connection.get_server_pid() == pid)
    try:
        await connection.fetchval("select pg_sleep(60)", timeout=0.05)
    except OUT_OF_TIME:
        print("out of time;", await connection.fetchval("select 'in time'", timeout=30))
    # In the middle of a large answer.
    task = asyncio.ensure_future(connection.fetch("select repeat('a', 1000) from generate_series(1, 1000000)"))
    await waits("ClientWrite", "active")
    task.cancel()
    (error,) = await asyncio.gather(task, return_exceptions=True)
    print(type(error).__name__, await connection.fetchval("select 'after a large answer was cut off'"))
    await asyncio.gather(connection.close(), watcher.close())


async def killed(url: str) -> None:
    connection, killer = await asyncpg.connect(url), await asyncpg.connect(url)
    told = asyncio.get_running_loop().create_future()
    connection.add_termination_listener(lambda c: told.done() or told.set_result(c is connection))
    await killer.fetchval("select pg_terminate_backend($1)", connection.get_server_pid())
    print("the idle one was told:", await told, connection.is_closed())
    for query in ("select 1", "select 2"):
        try:
            await connection.fetch(query)
        except asyncpg.InterfaceError as e:
            print(e)
    connection = await asyncpg.connect(url)
    task = asyncio.ensure_future(connection.fetchval("select pg_sleep(60)"))
    await asyncio.sleep(0.05)
    await killer.fetchval("select pg_terminate_backend($1)", connection.get_server_pid())
    (error,) = await asyncio.gather(task, return_exceptions=True)
    print(type(error).__name__, error)
    await killer.close()


async def refused(url: str) -> None:
    for wrong in (url.replace("secret", "wrong"), url.replace("/postgres?", "/nothing?")):
        try:
            await asyncpg.connect(wrong)
        except asyncpg.PostgresError as e:
            print(type(e).__name__, e)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    try:
        await asyncpg.connect(host="127.0.0.1", port=port, user="x", password="x")
    except ConnectionRefusedError as e:
        print("refused:", e.errno)
    # Accepts, and says nothing: by time, and by a cancel.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = {"host": "127.0.0.1", "port": silent.getsockname()[1], "user": "x", "password": "x", "ssl": False}
        try:
            await asyncpg.connect(**address, timeout=0.1)
        except OUT_OF_TIME:
            print("out of time to connect")
        task = asyncio.ensure_future(asyncpg.connect(**address))
        await asyncio.sleep(0.05)
        task.cancel()
        print(await asyncio.gather(task, return_exceptions=True))

    async def speak_otherwise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak_otherwise, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for mode in ("require", "disable"):
            try:
                await asyncpg.connect(host="127.0.0.1", port=port, user="x", password="x", ssl=mode)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
                print(mode, type(e).__name__, str(e).replace(str(port), "PORT"))


@checked
async def main() -> None:
    for part in (notifications, cancelled, killed, refused):
        await part(sys.argv[1])


if __name__ == "__main__":
    asyncio.run(main())
