"""Streams over real sockets: servers, clients, every way to get one, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import sys
import weakref

import pytest
from fenshen import asyncio as whole
from fenshen import streams
from on_loops import each_loop, run, turns
from stream_sides import NATIVE
from twins import resident


async def echo(reader, writer):
    """Lines back, until there are no more."""
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(writer.close)
        async for line in reader:
            writer.write(line)
            await writer.drain()


@each_loop
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_echo_server_and_its_clients(factory, kind, tmp_path):
    async def main():
        if kind == "tcp":
            server = await streams.start_server(echo, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()[:2]
        else:
            address = (str(tmp_path / "socket"),)
            server = await streams.start_unix_server(echo, *address)
        connect = streams.open_connection if kind == "tcp" else streams.open_unix_connection

        async def client(number):
            reader, writer = await connect(*address)
            assert (type(reader), type(writer)) == (NATIVE.Reader, NATIVE.Writer)
            for size in (1, 100, 10_000, 60_000):
                line = bytes([number]) * size + b"\n"
                writer.write(line)
                await writer.drain()
                assert await reader.readline() == line
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(*map(client, range(11, 31)))
        server.close()
        await server.wait_closed()

    run(main(), factory)


@each_loop
def test_a_slow_reader_has_its_peer_wait(factory):
    """What is buffered stays within the limits."""
    total, limit = 24 * 2**20, 2**16

    async def send(reader, writer):
        for _ in range(total // 2**16):
            writer.write(bytes(2**16))
            await writer.drain()
        writer.close()

    async def main():
        server = await streams.start_server(send, "127.0.0.1", 0)
        reader, writer = await streams.open_connection(*server.sockets[0].getsockname()[:2], limit=limit)
        taken = most = 0
        while block := await reader.read(3 * limit):
            taken += len(block)
            await turns()
            most = max(most, len(reader._buffer))
        assert taken == total
        assert most <= 2 * limit + 2**18  # and what one read of the socket may add
        writer.close()
        server.close()

    run(main(), factory)


@each_loop
def test_many_at_once_with_large_messages(factory):
    async def handle(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                writer.write(await reader.readexactly(size))
                await writer.drain()
        writer.close()

    async def client(address, size):
        reader, writer = await streams.open_connection(*address)
        data = os.urandom(1000) * (size // 1000)
        for _ in range(3):
            writer.writelines([len(data).to_bytes(4, "big"), data])
            got, _ = await asyncio.gather(reader.readexactly(len(data)), writer.drain())
            assert got == data
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await streams.start_server(handle, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()[:2]
        await asyncio.gather(*(client(address, size) for size in (1000, 50_000, 200_000, 3_000_000)))
        server.close()

    run(main(), factory)


@each_loop
def test_a_connection_that_is_reset_is_heard_of(factory):
    async def main():
        here, there = socket.socketpair()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reader, writer = await streams.open_connection(*listener.getsockname()[:2])
            peer, _ = listener.accept()
        for end in (here, there):
            end.close()
        waiting = asyncio.ensure_future(reader.readexactly(10))
        peer.sendall(b"half")
        await asyncio.sleep(0.01)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        for again in (waiting, reader.read(), reader.readline(), writer.drain()):
            with pytest.raises(ConnectionResetError):
                await again
        with pytest.raises(ConnectionResetError):
            await writer.wait_closed()
        assert writer.is_closing()

    run(main(), factory)


def test_the_whole_of_asyncio_has_them():
    assert whole.StreamReader is whole.streams.StreamReader is NATIVE.Reader
    assert whole.StreamWriter is NATIVE.Writer
    assert whole.StreamReaderProtocol is NATIVE.Protocol
    assert whole.open_connection is whole.streams.open_connection is streams.open_connection
    assert whole.start_server is streams.start_server
    assert whole.open_unix_connection is streams.open_unix_connection
    assert whole.start_unix_server is streams.start_unix_server
    assert asyncio.StreamReader is not NATIVE.Reader


def test_their_signatures_are_asyncios():
    import inspect

    for name in ("open_connection", "start_server", "open_unix_connection", "start_unix_server"):
        ours, theirs = (inspect.signature(getattr(module, name)) for module in (streams, asyncio.streams))
        assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == (
            [(p.name, p.kind, p.default) for p in theirs.parameters.values()]
        )
        assert asyncio.iscoroutinefunction(getattr(streams, name)) or sys.version_info >= (3, 14)


@each_loop
def test_connections_that_come_and_go_leave_nothing(factory):
    async def once(address):
        reader, writer = await streams.open_connection(*address)
        writer.write(b"a line\n")
        assert await reader.readline() == b"a line\n"
        writer.close()
        await writer.wait_closed()
        return weakref.ref(reader), weakref.ref(writer), weakref.ref(writer._protocol)

    async def main():
        server = await streams.start_server(echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()[:2]
        for _ in range(50):
            await once(address)
        files, before, references = len(os.listdir("/proc/self/fd")), resident(), []
        for _ in range(500):
            references += await once(address)
        await asyncio.sleep(0.05)
        gc.collect()
        assert [r() for r in references] == [None] * len(references)
        assert len(os.listdir("/proc/self/fd")) <= files + 2
        assert resident() - before < 8 * 1024
        server.close()

    run(main(), factory)


def test_reads_leave_no_memory():
    async def main():
        reader, data = NATIVE.Reader(), bytes(1000) + b"\n"

        async def some(count):
            for _ in range(count):
                reader.feed_data(data)
                await reader.read(1)
                await reader.readexactly(10)
                task = asyncio.ensure_future(reader.readexactly(5000))
                await turns(1)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                await reader.readuntil()
                assert not reader._buffer

        await some(500)
        before = resident()
        await some(5000)
        gc.collect()
        assert resident() - before < 4 * 1024

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="from Python 3.11 on")
def test_start_tls_goes_on_over_the_new_transport():
    """What `start_tls` asks of the loop, and what it does with the answer."""
    from stream_sides import Remembers

    async def main():
        asked = []

        class Loop:
            def __init__(self, real):
                self.real = real

            def __getattr__(self, name):
                return getattr(self.real, name)

            async def start_tls(self, *args, **kwargs):
                asked.append((args, kwargs))
                return Remembers(extra={"sslcontext": args[2]})

        loop = Loop(asyncio.get_running_loop())
        reader = NATIVE.Reader(loop=loop)
        protocol, transport, context = NATIVE.Protocol(reader, None, loop), Remembers(), object()
        protocol.connection_made(transport)
        writer = NATIVE.Writer(transport, protocol, reader, loop)
        await writer.start_tls(context, server_hostname="name", ssl_handshake_timeout=5)
        (args, kwargs) = asked[0]
        assert args == (transport, protocol, context)
        assert kwargs["server_hostname"] == "name"
        assert kwargs["ssl_handshake_timeout"] == 5
        assert kwargs["server_side"] is False
        assert writer.transport is not transport
        assert protocol._transport is reader._transport is writer.transport
        assert protocol._over_ssl
        writer.close()

    run(main())
