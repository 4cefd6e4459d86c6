"""aiohttp, server and client: methods, forms, files, keep-alive, streaming both ways, large bodies, many at once."""

from __future__ import annotations

import asyncio
import hashlib
import random
from pathlib import Path

import aiohttp
from aiohttp import web
from loops import checked

MEGABYTE = 1 << 20
LARGE = random.Random(1).randbytes(16 * MEGABYTE)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), headers={"X-Method": request.method})


async def form(request: web.Request) -> web.Response:
    found = {}
    async for part in await request.multipart():
        assert isinstance(part, aiohttp.BodyPartReader)
        found[part.name] = digest(await part.read())
    return web.json_response(found)


async def count(request: web.Request) -> web.StreamResponse:
    """Numbers, a chunk each, with a pause now and then."""
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for number in range(int(request.query["to"])):
        await response.write(b"%d\n" % number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await response.write_eof()
    return response


async def upload(request: web.Request) -> web.Response:
    """The size and the digest of a body that is never held whole."""
    seen, size = hashlib.sha256(), 0
    async for chunk in request.content.iter_any():
        seen.update(chunk)
        size += len(chunk)
    return web.json_response({"size": size, "digest": seen.hexdigest()[:16]})


async def address(request: web.Request) -> web.Response:
    assert request.transport is not None
    return web.Response(text=str(request.transport.get_extra_info("peername")[1]))


async def file(request: web.Request) -> web.FileResponse:
    return web.FileResponse("large.bin")


async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    raise AssertionError("nobody waits so long")


async def broken(request: web.Request) -> web.StreamResponse:
    """Promises more than it sends."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"x" * 10)
    assert request.transport is not None
    request.transport.abort()
    return response


async def talk(session: aiohttp.ClientSession) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        async with session.request(method, "/echo", data=b"body of " + method.encode()) as response:
            print(response.status, response.headers["X-Method"], await response.read())
    async with session.post("/form", data={"a": b"1" * 100_000, "file": Path("large.bin").open("rb")}) as response:
        assert (await response.json())["file"] == digest(LARGE)
        print("form:", sorted(await response.json()))
    async with session.get("/count", params={"to": 5000}) as response:
        lines = [line async for line in response.content]
        print("lines:", len(lines), digest(b"".join(lines)))
    async with session.post("/echo", data=LARGE) as response:
        print("16 MiB came back:", await response.read() == LARGE)
    async with session.get("/file") as response:
        print("file:", response.status, digest(await response.read()))
    async with session.get("/file", headers={"Range": "bytes=1000000-9000000"}) as response:
        print("range:", response.status, await response.read() == LARGE[1_000_000:9_000_001])
    ports = {await (await session.get("/address")).text() for _ in range(20)}
    print("connections for 20 requests:", len(ports))
    async with session.get("/nothing") as response:
        print(response.status, response.reason)


async def stream_up(session: aiohttp.ClientSession) -> None:
    async def pieces():
        for start in range(0, len(LARGE), 65_537):
            yield LARGE[start : start + 65_537]

    async with session.post("/upload", data=pieces()) as response:
        found = await response.json()
        print("upload:", found["size"], found["digest"] == digest(LARGE))


async def troubles(session: aiohttp.ClientSession) -> None:
    try:
        async with session.get("/slow", timeout=aiohttp.ClientTimeout(total=0.2)):
            pass
    except asyncio.TimeoutError:
        print("timed out")
    try:
        async with session.get("/broken") as response:
            await response.read()
    except aiohttp.ClientPayloadError as e:
        print(type(e).__name__)
    task = asyncio.ensure_future(session.get("/slow"))
    await asyncio.sleep(0.1)
    task.cancel()
    print("cancelled:", (await asyncio.gather(task, return_exceptions=True))[0].__class__.__name__)


async def one(session: aiohttp.ClientSession, number: int) -> str:
    body = random.Random(number).randbytes(number * 500)
    for _ in range(5):
        async with session.post("/echo", data=body) as response:
            assert await response.read() == body
    return digest(body)


@checked
async def main() -> None:
    Path("large.bin").write_bytes(LARGE)
    app = web.Application(client_max_size=64 * MEGABYTE)
    app.router.add_route("*", "/echo", echo)
    for handler in (form, upload):
        app.router.add_post(f"/{handler.__name__}", handler)
    for handler in (count, address, file, slow, broken):
        app.router.add_get(f"/{handler.__name__}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession(base) as session:
        await talk(session)
        await stream_up(session)
        await troubles(session)
    async with aiohttp.ClientSession(base, connector=aiohttp.TCPConnector(limit=0)) as session:
        found = await asyncio.gather(*(one(session, number) for number in range(200)))
        print("200 at once:", digest("".join(found).encode()))
    await runner.cleanup()
    try:
        async with aiohttp.ClientSession(base) as session:
            await session.get("/address")
    except aiohttp.ClientConnectorError as e:
        print("after the end:", type(e.os_error).__name__)


if __name__ == "__main__":
    asyncio.run(main())
