"""A thousand idle connections beside a few busy ones: all are answered, and what they cost in memory is bounded."""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
import textwrap
from collections.abc import Iterator

import pytest
from commands import PYTHON, end, needs_native, start

IDLE, BUSY, ROUNDS, SIZE = 1000, 10, 20, 10_000
SOCKETS = IDLE + BUSY + 100  # and whatever else the process has open

SERVER = """
import asyncio, contextlib, gc, pathlib, resource, sys
import fenshen

resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
open_now = 0

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        global open_now
        open_now += 1
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def connection_lost(self, error):
        global open_now
        open_now -= 1

async def echo(reader, writer):
    global open_now
    open_now += 1
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    open_now -= 1

def memory():
    gc.collect()
    rows = pathlib.Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))

def answer():
    if sys.stdin.readline():
        print(open_now, memory(), flush=True)
    else:
        over.set()

async def main():
    global over
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.argv[1] == "streams":
        server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=512)
    else:
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=512)
    loop.add_reader(sys.stdin, answer)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()
    loop.remove_reader(sys.stdin)
    server.close()

if len(sys.argv) > 2:
    fenshen.install()
loop = fenshen.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < SOCKETS:
        pytest.skip(f"a process may have no more than {hard} descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOCKETS if soft < SOCKETS else soft, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Server:
    """The server's process, and what it says of itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self.input, self.output = process.stdin, process.stdout
        self.port = int(self.output.readline())

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def state(self) -> tuple[int, int]:
        """How many connections are open, and the bytes of memory that the process has."""
        self.input.write("\n")
        self.input.flush()
        count, memory = self.output.readline().split()
        return int(count), int(memory)

    def has(self, connections: int) -> bool:
        """Whether it comes to have so many; it learns of a close a little later."""
        return any(self.state()[0] == connections for _ in range(1000))


def receive(client: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = client.recv(size)
        assert part, "the server closed a connection"
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def answered(clients: list[socket.socket], message: bytes) -> None:
    """All have a message on its way at once, and each gets its own back."""
    for number, client in enumerate(clients):
        client.sendall(number.to_bytes(4, "big") + message)
    for number, client in enumerate(clients):
        assert receive(client, 4 + len(message)) == number.to_bytes(4, "big") + message


def crowded(server: Server, busy: list[socket.socket]) -> int:
    """Idle connections come, everybody is answered, and they go; how many bytes the server grew by."""
    before = server.state()[1]
    with contextlib.ExitStack() as crowd:
        idle = [crowd.enter_context(server.connect()) for _ in range(IDLE)]
        answered(idle, b"")
        for number in range(ROUNDS):
            answered(busy, bytes([number]) * SIZE)
        answered(idle, b"still there")
        count, memory = server.state()
        assert count == IDLE + BUSY
    return memory - before


@needs_native
@pytest.mark.parametrize(
    ("words", "bytes_each"),
    [(["protocol"], 8_000), (["streams"], 16_000), (["streams", "installed"], 16_000)],
    ids=["protocol", "streams", "streams-installed"],
)
def test_a_thousand_idle_connections(words: list[str], bytes_each: int, many_descriptors: None) -> None:
    process = start([*PYTHON, "-c", textwrap.dedent(SERVER), *words])
    grown = []
    with contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        server = Server(process)
        with contextlib.ExitStack() as clients:
            busy = [clients.enter_context(server.connect()) for _ in range(BUSY)]
            answered(busy, b"x" * SIZE)
            for _ in range(3):
                grown.append(crowded(server, busy))
                assert server.has(BUSY)
        assert server.has(0)
        server.input.close()
        process.stdin = None
        assert end(process)[::2] == (0, "")
    assert grown[0] < IDLE * bytes_each
    assert grown[2] < IDLE * bytes_each / 2, "the memory of connections that have ended is not used again"
