"""websockets: a server and its clients; text and binary, fragments, pings, compression, large messages, closing."""

from __future__ import annotations

import asyncio
import hashlib

from loops import checked
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

MEGABYTE = 1 << 20


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        if message == "goodbye":
            await connection.close(4001, "as asked")
        elif message == "stream":
            await connection.send([b"one ", b"two ", b"three"])
        else:
            await connection.send(message)


async def one(url: str, number: int) -> str:
    """A client's talk of ten messages."""
    seen = hashlib.sha256()
    async with connect(url) as connection:
        for step in range(10):
            sent = bytes([number % 256]) * (step * 997)
            await connection.send(sent)
            assert await connection.recv() == sent
            seen.update(sent)
    return seen.hexdigest()[:8]


async def closings(url: str) -> None:
    async with connect(url) as connection:
        await connection.send("goodbye")
        try:
            await connection.recv()
        except ConnectionClosed as e:
            print("closed by the server:", e.rcvd)
    async with connect(url, max_size=1000) as connection:
        await connection.send("x" * 1001)
        try:
            await connection.recv()
        except ConnectionClosedError as e:
            print("too large:", e.sent)


@checked
async def main() -> None:
    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        async with connect(url, max_size=None) as connection:
            for message in ("hello", b"bytes", "", b"", "分身"):
                await connection.send(message)
                print(repr(await connection.recv()))
            await connection.send("stream")
            print(repr(await connection.recv()))
            latency = await (await connection.ping())
            print("ponged:", latency >= 0)
            large = hashlib.sha256(b"seed").digest() * (8 * MEGABYTE // 32)
            await connection.send(large)
            print("8 MiB came back:", await connection.recv() == large)
        async with connect(url, compression=None, max_size=None) as connection:
            await connection.send(large)
            print("8 MiB came back uncompressed:", await connection.recv() == large)
        await closings(url)
        talks = await asyncio.gather(*(one(url, number) for number in range(50)))
        print("50 at once:", hashlib.sha256("".join(talks).encode()).hexdigest()[:16])
        # The peer vanishes without a closing handshake.
        gone = [await connect(url) for _ in range(10)]
        for connection in gone:
            connection.transport.abort()
        await asyncio.gather(*(connection.wait_closed() for connection in gone))
        print("after ten that vanished:", await one(url, 7))


if __name__ == "__main__":
    asyncio.run(main())
