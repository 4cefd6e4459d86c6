"""httpx, async and sync, by HTTP/1.1 and HTTP/2 over TLS, against a Quart application served by hypercorn."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config
from loops import checked
from quart import Quart, Response, request, websocket

MEGABYTE = 1 << 20
LARGE = random.Random(3).randbytes(MEGABYTE)

app = Quart(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 * MEGABYTE


@app.route("/echo", methods=["GET", "POST", "PUT"])
async def echo() -> Response:
    return Response(await request.get_data(), headers={"X-Method": request.method, "X-Version": request.http_version})


@app.route("/count/<int:to>")
async def count(to: int) -> tuple[AsyncIterator[bytes], int]:
    async def numbers() -> AsyncIterator[bytes]:
        for number in range(to):
            yield b"%d\n" % number
            await asyncio.sleep(0)

    return numbers(), 200


@app.route("/slow")
async def slow() -> str:
    await asyncio.sleep(3600)
    return ""


@app.websocket("/socket")
async def talk() -> None:
    while True:
        await websocket.send(await websocket.receive())


def pieces() -> Iterator[bytes]:
    for start in range(0, len(LARGE), 50_001):
        yield LARGE[start : start + 50_001]


async def async_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


async def by_async(client: httpx.AsyncClient) -> None:
    for method in ("GET", "POST", "PUT"):
        response = await client.request(method, "/echo", content=b"" if method == "GET" else b"body")
        print(response.http_version, response.status_code, response.headers["X-Method"], response.content)
    print("1 MiB came back:", (await client.post("/echo", content=LARGE)).content == LARGE)
    print("streamed up:", (await client.post("/echo", content=async_pieces())).content == LARGE)
    async with client.stream("GET", "/count/300") as response:
        print("lines:", len([line async for line in response.aiter_lines()]))
    async with client.stream("GET", "/count/3000") as response:
        async for _ in response.aiter_raw():
            break  # and leaves the rest
    try:
        await client.get("/slow", timeout=httpx.Timeout(30, read=0.2))
    except httpx.ReadTimeout:
        print("timed out")
    answers = await asyncio.gather(*(client.post("/echo", content=LARGE[: 1000 * n]) for n in range(40)))
    print("40 at once:", all(answer.content == LARGE[: 1000 * n] for n, answer in enumerate(answers)))


def by_sync(client: httpx.Client) -> None:
    for method in ("GET", "POST", "PUT"):
        response = client.request(method, "/echo", content=b"" if method == "GET" else b"body")
        print(response.http_version, response.status_code, response.headers["X-Method"], response.content)
    print("1 MiB came back:", client.post("/echo", content=LARGE).content == LARGE)
    print("streamed up:", client.post("/echo", content=pieces()).content == LARGE)
    with client.stream("GET", "/count/300") as response:
        print("lines:", len(list(response.iter_lines())))


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[int, trustme.CA]]:
    """The application, over TLS with HTTP/1.1 and HTTP/2 on offer."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path("server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = Config()
        config.bind = [f"fd://{listening.fileno()}"]
        config.certfile = config.keyfile = "server.pem"
        config.alpn_protocols = ["h2", "http/1.1"]
        config.graceful_timeout = 1
        config.errorlog = config.accesslog = None
        over = asyncio.Event()
        server = asyncio.ensure_future(serve(app, config, shutdown_trigger=over.wait))
        try:
            yield listening.getsockname()[1], authority
        finally:
            over.set()
            await server
            listening.detach()  # hypercorn has closed it


@checked
async def main() -> None:
    async with served() as (port, authority):
        import ssl

        context = ssl.create_default_context()
        authority.configure_trust(context)
        base = f"https://localhost:{port}"
        for http2 in (False, True):
            async with httpx.AsyncClient(base_url=base, verify=context, http2=http2, timeout=30) as client:
                await by_async(client)
            with httpx.Client(base_url=base, verify=context, http2=http2, timeout=30) as client:
                await asyncio.to_thread(by_sync, client)
        async with httpx.AsyncClient(base_url=base) as client:
            try:
                await client.get("/echo")
            except httpx.ConnectError as e:
                print("not trusted:", "CERTIFICATE_VERIFY_FAILED" in str(e))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        print("without a socket:", hashlib.sha256((await client.post("/echo", content=LARGE)).content).digest()[:4])
    Path("server.pem").unlink()


if __name__ == "__main__":
    asyncio.run(main())
