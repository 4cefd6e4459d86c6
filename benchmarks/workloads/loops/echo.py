"""Echo servers of every kind: what a message costs a server, by size and by number of connections.

The loop under test serves on one core; the load comes from `benchmarks/floor` on another: each connection sends a
message and waits until all of it has come back. The floor is the same load on the same program's own server.
"""

import asyncio
import contextlib
import pathlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from .. import Cell, Load, Serve, Target, Workload

READ = 256 * 1024
CONNECTIONS = (10, 200)
SIZES = (1, 10, 100)  # KiB
LARGEST_DATAGRAM = 65507


class Echo(asyncio.Protocol):
    """Sends back whatever comes."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """The same with a buffer of its own, from which each message is copied once."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(READ))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, count: int) -> None:
        self.transport.write(bytes(self.buffer[:count]))


class DatagramEcho(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        self.transport.sendto(data, sender)


async def stream_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(READ):
            writer.write(data)
            await writer.drain()
    writer.close()


def serving(start: Callable[[pathlib.Path], Awaitable[asyncio.AbstractServer]]) -> Serve:
    """A server that is started so, and its address for as long as the load lasts."""

    @contextlib.asynccontextmanager
    async def serve(folder: pathlib.Path) -> AsyncIterator[str]:
        server = await start(folder)
        name = server.sockets[0].getsockname()  # type: ignore[attr-defined]
        yield name if isinstance(name, str) else f"{name[0]}:{name[1]}"
        server.close()

    return serve


def context(folder: pathlib.Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return made


@serving
async def protocol(folder: pathlib.Path) -> asyncio.AbstractServer:
    return await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)


@serving
async def buffered(folder: pathlib.Path) -> asyncio.AbstractServer:
    return await asyncio.get_running_loop().create_server(BufferedEcho, "127.0.0.1", 0)


@serving
async def streams(folder: pathlib.Path) -> asyncio.AbstractServer:
    return await asyncio.start_server(stream_echo, "127.0.0.1", 0)


@serving
async def tls(folder: pathlib.Path) -> asyncio.AbstractServer:
    return await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, ssl=context(folder))


@serving
async def tls_streams(folder: pathlib.Path) -> asyncio.AbstractServer:
    return await asyncio.start_server(stream_echo, "127.0.0.1", 0, ssl=context(folder))


@serving
async def unix(folder: pathlib.Path) -> asyncio.AbstractServer:
    return await asyncio.get_running_loop().create_unix_server(Echo, str(folder / "echo.sock"))


@contextlib.asynccontextmanager
async def sock(folder: pathlib.Path) -> AsyncIterator[str]:
    """Sockets without transports: `sock_accept`, `sock_recv`, `sock_sendall`."""
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    listener.setblocking(False)
    tasks = set()

    async def echo(connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            while message := await loop.sock_recv(connection, READ):
                await loop.sock_sendall(connection, message)

    async def accept() -> None:
        while True:
            connection, _ = await loop.sock_accept(listener)
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tasks.add(loop.create_task(echo(connection)))

    accepting = loop.create_task(accept())
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    accepting.cancel()
    await asyncio.gather(accepting, return_exceptions=True)
    listener.close()


@contextlib.asynccontextmanager
async def udp(folder: pathlib.Path) -> AsyncIterator[str]:
    """With room in the socket for what all clients may have on its way."""
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    endpoint.bind(("127.0.0.1", 0))
    endpoint.setblocking(False)
    port = endpoint.getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(DatagramEcho, sock=endpoint)
    yield f"127.0.0.1:{port}"
    transport.close()


class Kind(NamedTuple):
    """A way to serve: what it is called, its server, its wire, and how much of the floor is asked for at 1 KiB."""

    name: str
    title: str
    serve: Serve
    wire: str
    of_floor: float | None


KINDS = (
    Kind("protocol", "TCP Protocol", protocol, "tcp", 0.9),
    Kind("buffered", "TCP BufferedProtocol", buffered, "tcp", None),
    Kind("streams", "TCP streams", streams, "tcp", 0.6),
    Kind("sock", "TCP sock_recv/sendall", sock, "tcp", 0.55),
    Kind("tls", "TLS Protocol", tls, "tls", 0.6),
    Kind("tls_streams", "TLS streams", tls_streams, "tls", None),
    Kind("unix", "Unix socket Protocol", unix, "unix", 0.85),
    Kind("udp", "UDP DatagramProtocol", udp, "udp", 0.85),
)


def workload(kind: Kind, size: int, connections: int) -> Workload:
    goal = Target(kind.of_floor, "floor") if kind.of_floor and size == 1 else None
    row = f"{size} KiB, {connections} connections"
    return Workload(
        f"echo_{kind.name}_{size}k_{connections}",
        f"echo, {kind.title}: {row}",
        1,
        goal,
        kind="echo",
        unit="messages",
        serve=kind.serve,
        load=Load("load", kind.wire, connections, size * 1024),
        cell=Cell(f"Echo, {kind.title}", row),
        rounds=1000 if goal else 2,
    )


WORKLOADS = [
    workload(kind, size, connections)
    for kind in KINDS
    for size in SIZES
    for connections in CONNECTIONS
    if kind.wire != "udp" or size * 1024 <= LARGEST_DATAGRAM
]
