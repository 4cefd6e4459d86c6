"""A program that picks uvloop by itself: it keeps it, and our types, where they are installed, work on it."""

from __future__ import annotations

import asyncio

import uvloop
from loops import checked


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()
    await writer.wait_closed()


@checked
async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    queue: asyncio.Queue[bytes] = asyncio.Queue(3)
    gate, few = asyncio.Event(), asyncio.Semaphore(5)

    async def client(number: int) -> None:
        await gate.wait()
        async with few:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for step in range(10):
                writer.write(b"client %d step %d\n" % (number, step))
                await queue.put(await reader.readline())
            writer.close()
            await writer.wait_closed()

    clients = [asyncio.create_task(client(number)) for number in range(20)]
    gate.set()
    lines = sorted([await asyncio.wait_for(queue.get(), 30) for _ in range(200)])
    await asyncio.gather(*clients)
    print(len(lines), lines[0], lines[-1])
    done = await asyncio.to_thread(sum, range(1000))
    child = await asyncio.create_subprocess_exec("echo", "from a child", stdout=asyncio.subprocess.PIPE)
    print(done, (await child.communicate())[0])
    server.close()
    await server.wait_closed()


if __name__ == "__main__":
    uvloop.run(main())
