"""Faults of transports, streams and TLS that were found and mended once, each by the name of what went wrong."""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import os
import socket
import ssl
import struct
import weakref
from typing import Any

import fenshen
import pytest
from fenshen import _fenshen
from noting import Noting, connect, receive
from sockets import OURS, Loop, both, ours, pair, turns
from tls_parts import client_context, server_context


def test_a_reader_that_was_never_initialised_passed_null_to_its_own_read() -> None:
    class Bare(_fenshen.StreamReader):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def feed_eof(self) -> None:
            pass

    with pytest.raises((TypeError, AttributeError)):
        Bare().read().send(None)


@ours
def test_a_waiter_was_made_on_a_connection_that_was_over(run: Any) -> None:
    async def main(loop: Any) -> None:
        with pair() as (a, _):
            transport, protocol = await connect(loop, a)
            transport.abort()
            await protocol.over
            with pytest.raises(RuntimeError, match="closed"):
                transport._make_empty_waiter()

    run(main)


@ours
def test_extra_information_that_was_no_dict(run: Any) -> None:
    async def main(loop: Any) -> None:
        with pair() as (a, _), pytest.raises(TypeError, match="extra must be a dict"):
            _fenshen.SocketTransport(loop, a, asyncio.Protocol(), None, [1])  # type: ignore[arg-type]

    run(main)


@both
def test_bytes_that_write_when_they_go_were_sent_twice(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            transport, protocol = await connect(loop, a)

            class Writing(bytes):
                def __del__(self) -> None:
                    transport.write(b"c" * 1000)

            transport.write(Writing(b"a" * 10))
            transport.write(b"b" * 10)
            got = await receive(loop, b, 1020)
            assert sorted(got) == sorted(b"a" * 10 + b"b" * 10 + b"c" * 1000)
            transport.close()
            await protocol.over
            assert await receive(loop, b, 1) == b""

    run(main)


@both
def test_a_cancelled_sendfile_on_a_broken_connection_ended_the_loop(run: Any) -> None:
    async def main(loop: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            a = socket.create_connection(listening.getsockname())
            a.setblocking(False)
            b, _ = listening.accept()
            transport, protocol = await connect(loop, a)
            transport.pause_reading()
            transport.write(b"x" * 20_000_000)
            await asyncio.sleep(0.01)
            transport._make_empty_waiter().cancel()
            b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            b.close()
            loop.set_exception_handler(lambda loop, context: None)
            await protocol.over
            assert protocol.told[-1] == "ConnectionResetError"

    run(main)


@both
def test_a_connection_that_could_not_be_watched_ended_the_server(run: Any) -> None:
    async def main(loop: Loop) -> None:
        told = []
        loop.set_exception_handler(lambda loop, context: told.append(context["message"]))

        class Spoils(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                # A file that can't be watched, under the connection's number.
                with open(os.devnull) as other:
                    os.dup2(other.fileno(), transport.get_extra_info("socket").fileno())

        server = await loop.create_server(Spoils, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()):
            while not told:
                await asyncio.sleep(0.001)
        server.close()

    run(main)


@both
def test_a_socket_whose_close_fails_ended_the_loop(run: Any) -> None:
    class Failing(socket.socket):
        def close(self) -> None:
            super().close()
            raise OSError(5, "as a disk may")

    async def main(loop: Loop) -> None:
        told = []
        loop.set_exception_handler(lambda loop, context: told.append(type(context["exception"]).__name__))
        with pair() as (a, _):
            mine = Failing(fileno=os.dup(a.fileno()))
            mine.setblocking(False)
            transport, protocol = await connect(loop, mine)
            transport.close()
            await protocol.over
            await turns()
            assert told == ["OSError"]

    run(main)


@ours
def test_a_memory_view_of_numbers_was_sent_in_part_over_tls(run: Any) -> None:
    got = bytearray()

    class Taking(Noting):
        def data_received(self, data: bytes) -> None:
            got.extend(data)

    async def main(loop: Loop) -> None:
        server = await loop.create_server(Taking, "127.0.0.1", 0, ssl=server_context())
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(
            asyncio.Protocol, *address, ssl=client_context(), server_hostname="localhost"
        )
        data = array.array("I", range(100_000))
        transport.write(memoryview(data))
        while len(got) < 400_000:
            await asyncio.sleep(0.001)
        assert bytes(got) == data.tobytes()
        transport.close()
        await asyncio.sleep(0.01)
        server.close()
        await server.wait_closed()

    run(main)


def test_a_buffer_that_its_receiver_released_left_an_error_behind() -> None:
    async def main(loop: Loop) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        session = _fenshen.SSLProtocol(loop, asyncio.Protocol(), context, None)
        session.get_buffer(-1).release()
        assert len(session.get_buffer(-1)) > 0

    OURS(main)


def test_a_cancelled_handle_whose_end_adds_a_reader_was_read_after_it_was_freed() -> None:
    async def main(loop: Any) -> None:
        with pair() as (a, b):
            far = fcntl.fcntl(b.fileno(), fcntl.F_DUPFD, 900)
            ran: list[bool] = []

            def gone(_: Any) -> None:
                ran.append(loop.add_reader(far, print) is None)

            handle = loop._add_reader(a, print)
            _ref = weakref.ref(handle, gone)
            handle.cancel()
            del handle
            b.send(b"x")
            while not ran:
                await asyncio.sleep(0.001)
            loop.remove_reader(far)
            os.close(far)

    OURS(main)


def test_what_was_scheduled_was_hidden_from_a_run_within_the_last_looks() -> None:
    with contextlib.closing(fenshen.new_event_loop()) as loop, pair() as (a, b):
        done: list[int] = []

        def nested() -> None:
            a.recv(10)
            loop.remove_reader(a)
            loop.call_later(5, loop.stop)
            loop._run()  # type: ignore[attr-defined]
            assert done == [1]

        def first() -> None:
            loop.call_soon(lambda: (done.append(1), loop.stop()))
            b.send(b"x")
            loop.stop()

        loop.add_reader(a, nested)
        loop.call_soon(lambda: loop.call_soon(first))
        loop.run_forever()
        assert done == [1]
