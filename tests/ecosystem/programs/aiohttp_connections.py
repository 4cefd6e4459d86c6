"""aiohttp's server before rude clients, and aiohttp over TLS, Unix sockets and websockets."""

from __future__ import annotations

import asyncio
import random

import aiohttp
import peers
from aiohttp import web
from certificates import Authority
from loops import checked

MEGABYTE = 1 << 20
LARGE = random.Random(2).randbytes(8 * MEGABYTE)


async def echo(request: web.Request) -> web.Response:
    try:
        return web.Response(body=await request.read())
    except ConnectionResetError:  # by one of the rude clients; aiohttp would log it with the transport's frames
        return web.Response()


async def large(request: web.Request) -> web.Response:
    return web.Response(body=LARGE)


async def secret(request: web.Request) -> web.Response:
    """What TLS says of the connection."""
    assert request.transport is not None
    tls = request.transport.get_extra_info("ssl_object")
    peer = request.transport.get_extra_info("peercert") or {}
    return web.json_response([tls.version(), [name for _, name in peer.get("subjectAltName", ())]])


async def socket(request: web.Request) -> web.WebSocketResponse:
    response = web.WebSocketResponse(max_msg_size=0)
    await response.prepare(request)
    async for message in response:
        if message.type is aiohttp.WSMsgType.TEXT:
            await response.send_str(message.data.upper())
        elif message.type is aiohttp.WSMsgType.BINARY:
            await response.send_bytes(message.data)
    return response


async def websockets(session: aiohttp.ClientSession) -> None:
    async with session.ws_connect("/socket", max_msg_size=0) as connection:
        await connection.send_str("words")
        print(await connection.receive_str())
        for size in (0, 1, 125, 126, 65_535, 65_536, 8 * MEGABYTE):
            await connection.send_bytes(LARGE[:size])
            assert await connection.receive_bytes() == LARGE[:size]
        await connection.close(code=4000, message=b"enough")
        print("closed:", connection.close_code)
    async with session.ws_connect("/socket", compress=15, autoping=False) as connection:
        await connection.ping(b"are you there")
        print((await connection.receive()).data)
        await connection.send_str("compressed " * 1000)
        print(len(await connection.receive_str()))


async def rude_clients(port: int, session: aiohttp.ClientSession) -> None:
    """Each leaves the server as it was."""
    get = b"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n"
    post = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
    answer = await asyncio.to_thread(peers.byte_by_byte, port, post)
    print("byte by byte:", answer.splitlines()[0], answer[-5:])
    pipelined = get % (b"echo", b"") * 20 + get % (b"echo", b"Connection: close\r\n")
    answer = await asyncio.to_thread(peers.byte_by_byte, port, pipelined)
    print("pipelined:", answer.count(b"HTTP/1.1 200 OK"))
    answer = await asyncio.to_thread(peers.at_once, port, b"nonsense\r\n\r\n")
    print("nonsense:", answer.splitlines()[0])
    for taken in (0, 1, 100_000):
        ends = [asyncio.to_thread(peers.vanishing, port, get % (b"large", b""), taken) for _ in range(10)]
        await asyncio.gather(*ends)
    # aiohttp drops a client that closes its sending side, unless the answer was faster.
    answers = await asyncio.gather(*(asyncio.to_thread(peers.half_closing, port, post) for _ in range(10)))
    print("half-closed:", all(answer == b"" or answer[-5:] == b"hello" for answer in answers))
    unfinished = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nfew"
    await asyncio.gather(*(asyncio.to_thread(peers.vanishing, port, unfinished) for _ in range(10)))
    async with session.get("/large") as response:
        print("after them:", await response.read() == LARGE)


async def over_tls(app: web.Application) -> None:
    authority = Authority()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server(client_certificates=True))
    await site.start()
    port = runner.addresses[0][1]
    base = f"https://localhost:{port}"
    connector = aiohttp.TCPConnector(ssl=authority.client("someone.example"), limit=0)
    async with aiohttp.ClientSession(base, connector=connector) as session:
        async with session.get("/secret") as response:
            print(await response.json())
        await websockets(session)

        async def one(number: int) -> bool:
            async with session.post("/echo", data=LARGE[: number * 20_000]) as response:
                return await response.read() == LARGE[: number * 20_000]

        print("40 at once over TLS:", sum(await asyncio.gather(*map(one, range(40)))))
        async with session.get("/large") as response:
            print("8 MiB over TLS:", await response.read() == LARGE)
    for name, context in (
        ("stranger's authority", Authority().client("someone.example")),
        ("no certificate", authority.client()),
    ):
        try:
            connector = aiohttp.TCPConnector(ssl=context)
            async with aiohttp.ClientSession(base, connector=connector) as session, session.get("/secret"):
                print(name, "was let in")
        except aiohttp.ClientError:
            print(name, "was refused")
    answer = await asyncio.to_thread(peers.at_once, port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    print("plain text to TLS:", b"200" in answer)
    await runner.cleanup()


@checked
async def main() -> None:
    app = web.Application(client_max_size=64 * MEGABYTE)
    app.router.add_route("*", "/echo", echo)
    for handler in (large, secret, socket):
        app.router.add_get(f"/{handler.__name__}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await web.UnixSite(runner, "socket").start()
    port = next(address[1] for address in runner.addresses if not isinstance(address, str))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        await websockets(session)
        await rude_clients(port, session)
    async with (
        aiohttp.UnixConnector("socket") as connector,
        aiohttp.ClientSession("http://here", connector=connector) as session,
        session.post("/echo", data=LARGE) as response,
    ):
        print("8 MiB by a Unix socket:", await response.read() == LARGE)
    await over_tls(app)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
