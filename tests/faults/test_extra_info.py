"""What every kind of transport tells of itself: its keys, their kinds, its base classes."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from typing import Any

import pytest
from scenes import Notes, Noting, both, turns, until

KEYS = (
    "peername",
    "sockname",
    "socket",
    "pipe",
    "subprocess",
    "addr",
    "sslcontext",
    "peercert",
    "cipher",
    "ssl_object",
    "none",
)
BASES = {
    "transport": asyncio.Transport,
    "readable": asyncio.ReadTransport,
    "writable": asyncio.WriteTransport,
    "process": asyncio.SubprocessTransport,
}

if sys.version_info >= (3, 13):  # before, asyncio's own datagram transport is no instance of it
    BASES["datagrams"] = asyncio.DatagramTransport


def describe(notes: Notes, name: str, transport: Any) -> None:
    """Note its keys and their types, and what it is an instance of."""
    for key in KEYS:
        value = transport.get_extra_info(key, "missing")
        shown = type(value).__name__ if not isinstance(value, str) else ("a path" if "/" in value else repr(value))
        notes.append(f"{name}: {key} {shown}")
    notes.append(f"{name}: {[each for each, base in BASES.items() if isinstance(transport, base)]}")
    notes.append(f"{name}: {transport.get_extra_info('none')} {transport.is_closing()}")
    sock = transport.get_extra_info("socket")
    if sock is not None:
        notes.append(f"{name}: {sock.family!r} {sock.type!r} {sock.proto} {sock.gettimeout()}")
        notes.append(
            f"{name}: {sock.fileno() >= 0} {isinstance(sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), int)}"
        )


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_tcp(family: socket.AddressFamily) -> None:
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    if family == socket.AF_INET6:
        try:
            socket.create_server((host, 0), family=family).close()
        except OSError:
            pytest.skip("no IPv6 here")

    async def scene(loop: Any, notes: Notes) -> None:
        served: list[Noting] = []
        server = await loop.create_server(lambda: served.append(Noting([])) or served[-1], host, 0)
        for sock in server.sockets:
            notes.append(f"server: {type(sock).__name__} {sock.family!r} {sock.type!r}")
        transport, _ = await loop.create_connection(lambda: Noting([]), *server.sockets[0].getsockname()[:2])
        await until(lambda: served and served[0].calls)
        describe(notes, "client", transport)
        describe(notes, "server", served[0].transport)
        for name in ("TCP_NODELAY",):
            value = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            notes.append(f"{name} {value != 0}")
        same = transport.get_extra_info("sockname") == served[0].transport.get_extra_info("peername")
        notes.append(f"the same name {same}")
        transport.close()
        await until(lambda: served[0].lost)
        describe_closed(notes, transport)
        server.close()
        await server.wait_closed()
        notes.append(f"server: {server.sockets} {server.is_serving()}")

    notes = both(scene)
    assert "client: peername tuple" in notes
    assert "the same name True" in notes
    assert "TCP_NODELAY True" in notes


def describe_closed(notes: Notes, transport: Any) -> None:
    """The names are kept after the end."""
    notes.append(
        f"closed: {[type(transport.get_extra_info(key)).__name__ for key in ('peername', 'sockname', 'socket')]}"
    )


def test_unix() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        served: list[Noting] = []
        with tempfile.TemporaryDirectory() as folder:
            server = await loop.create_unix_server(lambda: served.append(Noting([])) or served[-1], f"{folder}/s")
            transport, _ = await loop.create_unix_connection(lambda: Noting([]), f"{folder}/s")
            await until(lambda: served and served[0].calls)
            describe(notes, "client", transport)
            describe(notes, "server", served[0].transport)
            transport.close()
            await until(lambda: served[0].lost)
            describe_closed(notes, transport)
            server.close()
            await server.wait_closed()
        a, b = socket.socketpair()
        a.setblocking(False)
        with a, b:
            transport, _ = await loop.create_connection(lambda: Noting([]), sock=a)
            describe(notes, "pair", transport)
            transport.abort()
            await turns(loop)

    assert any("client: socket TransportSocket" in note for note in both(scene))


def test_accepted() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
            sock, _ = server.accept()
            transport, _ = await loop.connect_accepted_socket(lambda: Noting([]), sock)
            describe(notes, "accepted", transport)
            transport.abort()
            await turns(loop)

    both(scene)


@pytest.mark.parametrize("kind", ["bound", "connected", "unix"])
def test_datagrams(kind: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            options: dict[str, Any] = {
                "bound": {"local_addr": ("127.0.0.1", 0)},
                "connected": {"remote_addr": ("127.0.0.1", 9)},
                "unix": {"local_addr": f"{folder}/s", "family": socket.AF_UNIX},
            }[kind]
            transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, **options)
            describe(notes, kind, transport)
            notes.append(f"{transport.get_write_buffer_limits()} {transport.get_write_buffer_size()}")
            transport.close()
            await turns(loop)
            describe_closed(notes, transport)

    both(scene)


def test_pipes() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        r, w = os.pipe()
        reading, _ = await loop.connect_read_pipe(lambda: Noting([]), os.fdopen(r, "rb", 0))
        writing, _ = await loop.connect_write_pipe(lambda: Noting([]), os.fdopen(w, "wb", 0))
        describe(notes, "reading", reading)
        describe(notes, "writing", writing)
        notes.append(f"{writing.get_write_buffer_limits()} {writing.get_write_buffer_size()} {writing.can_write_eof()}")
        reading.close()
        writing.close()
        await turns(loop)

    assert any("reading: pipe FileIO" in note for note in both(scene))


def test_processes() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, "cat", stdin=-1, stdout=-1, stderr=-1)
        describe(notes, "process", transport)
        for fd in range(3):
            describe(notes, str(fd), transport.get_pipe_transport(fd))
        notes.append(f"{transport.get_pipe_transport(3)} {transport.get_returncode()} {transport.get_pid() > 0}")
        transport.close()
        await turns(loop, 40)
        await until(lambda: transport.get_returncode() is not None)

    assert any("process: subprocess Popen" in note for note in both(scene))
