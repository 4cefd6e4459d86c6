"""`loop.sock_recv` and its kin: what every operation does, receiving and sending."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import random
import socket
import ssl
import weakref
from typing import Any

import fenshen
import pytest
from sockets import Loop, asleep, both, cancelled, ours, pair, run_on, tcp, turns


@both
def test_they_are_coroutine_methods(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            names = ["sock_recv", "sock_recv_into", "sock_sendall", "sock_connect", "sock_accept"]
            for name in names:
                assert asyncio.iscoroutinefunction(getattr(loop, name))
            made = loop.sock_recv(a, 1)
            assert asyncio.iscoroutine(made)
            made.close()
            await loop.sock_sendall(sock=a, data=b"x")
            assert await loop.sock_recv(sock=b, n=10) == b"x"

    run(main)


@both
def test_one_that_is_never_awaited_warns(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, _), pytest.warns(RuntimeWarning, match=r"sock_recv.*never awaited"):
            loop.sock_recv(a, 1)

    run(main)


@both
def test_arguments(run: Any) -> None:
    async def main(loop: Any) -> None:
        with pair() as (a, _):
            for call in (
                lambda: loop.sock_recv(a),
                lambda: loop.sock_recv(a, 1, 2),
                lambda: loop.sock_recv(a, m=1),
                lambda: loop.sock_sendall(a),
                lambda: loop.sock_accept(),
            ):
                with pytest.raises(TypeError):
                    call()
            for n in ("1", 1.0, None):
                with pytest.raises(TypeError):
                    await loop.sock_recv(a, n)
            with pytest.raises(ValueError, match="negative buffersize in recv"):
                await loop.sock_recv(a, -1)
            with pytest.raises(TypeError, match="a bytes-like object is required, not 'str'"):
                await loop.sock_sendall(a, "text")
            with pytest.raises(TypeError, match="read-write bytes-like object, not bytes"):
                await loop.sock_recv_into(a, b"123")
            assert await loop.sock_recv(a, 0) == b""
            assert await loop.sock_recv_into(a, bytearray()) == 0

    run(main)


@both
def test_ssl_sockets_are_refused(run: Any) -> None:
    async def main(loop: Any) -> None:
        context = ssl.create_default_context()
        with socket.socket() as plain, context.wrap_socket(plain, server_hostname="x") as wrapped:
            for made in (
                loop.sock_recv(wrapped, 1),
                loop.sock_recv_into(wrapped, bytearray(1)),
                loop.sock_sendall(wrapped, b"x"),
                loop.sock_connect(wrapped, ("127.0.0.1", 1)),
                loop.sock_accept(wrapped),
            ):
                with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                    await made

    run(main)


@both
def test_debug_mode_wants_non_blocking_sockets(run: Any) -> None:
    async def main(loop: Any) -> None:
        with pair() as (a, _):
            a.setblocking(True)
            for made in (
                loop.sock_recv(a, 1),
                loop.sock_recv_into(a, bytearray(1)),
                loop.sock_sendall(a, b"x"),
                loop.sock_connect(a, ""),
                loop.sock_accept(a),
            ):
                with pytest.raises(ValueError, match="the socket must be non-blocking"):
                    await made

    run(main, debug=True)


@both
def test_a_closed_socket(run: Any) -> None:
    async def main(loop: Any) -> None:
        with pair() as (a, _):
            a.close()
            for made in (
                loop.sock_recv(a, 1),
                loop.sock_recv_into(a, bytearray(1)),
                loop.sock_sendall(a, b"x"),
                loop.sock_accept(a),
            ):
                with pytest.raises(OSError) as caught:  # noqa: PT011
                    await made
                assert caught.value.errno == errno.EBADF

    run(main)


@both
def test_a_transport_owns_its_socket(run: Any) -> None:
    async def main(loop: Any) -> None:
        with pair() as (a, b):
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=a)
            for made in (loop.sock_recv(a, 1), loop.sock_recv_into(a, bytearray(1))):
                with pytest.raises(RuntimeError, match=r"File descriptor .* is used by transport"):
                    await made
            transport.abort()
            await turns()
            assert b.recv(1) == b""

    run(main)


def test_a_closed_loop() -> None:
    loop = fenshen.new_event_loop()
    with pair() as (a, _):
        made = loop.sock_recv(a, 1)
        loop.close()
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            made.send(None)


@ours
def test_no_cycle_is_left(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            task = loop.create_task(loop.sock_recv(a, 10))
            await asleep(task)
            await loop.sock_sendall(b, b"x")
            assert await task == b"x"
            gc.collect()
            gc.disable()
            watched = weakref.ref(task)
            del task
            await turns()
            gc.enable()
            assert watched() is None

    run(main)


@ours
def test_a_socket_is_not_kept_alive(run: Any) -> None:
    async def main(loop: Loop) -> None:
        a, b = socket.socketpair()
        with b:
            a.setblocking(False)
            task = loop.create_task(loop.sock_recv(a, 10))
            await asleep(task)
            b.send(b"x")
            assert await task == b"x"
            watched = weakref.ref(a)
            del task
            with pytest.warns(ResourceWarning):
                del a
            assert watched() is None

    run(main)


@both
@pytest.mark.parametrize("n", [1, 100, 16 * 1024, 64 * 1024, 64 * 1024 + 1, 1 << 20, 1 << 30])
def test_receiving_at_any_size(run: Any, n: int) -> None:
    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            data = os.urandom(3_000_000 if n > 100 else 300)
            sending = loop.create_task(loop.sock_sendall(a, data))
            got = bytearray()
            while len(got) < len(data):
                block = await loop.sock_recv(b, n)
                assert type(block) is bytes
                assert 0 < len(block) <= n
                got += block
            await sending
            assert got == data
            a.close()
            assert await loop.sock_recv(b, n) == b""
            assert await loop.sock_recv(b, n) == b""

    run(main)


@ours
@pytest.mark.parametrize(
    "make", [bytes, bytearray, memoryview, lambda data: memoryview(data).cast("B", (2, len(data) // 2))]
)
def test_sending_any_bytes(run: Any, make: Any) -> None:
    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            data = os.urandom(4_000_000)
            sending = loop.create_task(loop.sock_sendall(a, make(data)))
            got = bytearray()
            while len(got) < len(data):
                got += await loop.sock_recv(b, 100_000)
            assert await sending is None
            assert got == data

    run(main)


@ours
def test_sending_items_of_many_bytes(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            numbers = memoryview(bytearray(4_000_000)).cast("i")
            sending = loop.create_task(loop.sock_sendall(a, numbers))
            got = 0
            while got < 4_000_000:
                got += len(await loop.sock_recv(b, 1_000_000))
            await sending
            with pytest.raises(BufferError):
                await loop.sock_sendall(a, numbers[::2])

    run(main)


@both
def test_what_is_being_sent_cannot_be_resized(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, _):
            data = bytearray(4_000_000)
            sending = loop.create_task(loop.sock_sendall(a, data))
            await asleep(sending)
            with pytest.raises(BufferError):
                data.clear()
            await cancelled(sending)
            del sending
            gc.collect()
            data.clear()

    run(main)


@both
def test_sending_nothing(run: Any) -> None:
    async def main(loop: Loop) -> None:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with pair(kind) as (a, b):
                assert await loop.sock_sendall(a, b"") is None
                await loop.sock_sendall(a, b"x")
                assert await loop.sock_recv(b, 10) == (b"x" if kind == socket.SOCK_STREAM else b"")

    run(main)


@both
@pytest.mark.parametrize(
    "make", [bytearray, lambda n: memoryview(bytearray(n)), lambda n: memoryview(bytearray(n))[3:]]
)
def test_receiving_into(run: Any, make: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            buffer = make(100)
            receiving = loop.create_task(loop.sock_recv_into(b, buffer))
            await asleep(receiving)
            await loop.sock_sendall(a, b"hello")
            assert await receiving == 5
            assert bytes(buffer[:5]) == b"hello"
            await loop.sock_sendall(a, b"there")
            assert await loop.sock_recv_into(b, buffer) == 5
            assert bytes(buffer[:6]) == b"there\0"

    run(main)


@both
def test_datagrams_come_whole(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair(socket.SOCK_DGRAM) as (a, b):
            a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 400_000)
            for size in (0, 1, 100, 70_000, 150_000):
                receiving = loop.create_task(loop.sock_recv(b, 1 << 20))
                await turns()
                await loop.sock_sendall(a, b"x" * size)
                assert len(await receiving) == size
            await loop.sock_sendall(a, b"12345")
            await loop.sock_sendall(a, b"67")
            assert await loop.sock_recv(b, 3) == b"123"
            assert await loop.sock_recv(b, 3) == b"67"

    run(main)


@ours
def test_a_blocking_socket_does_not_block_the_loop(run: Any) -> None:
    async def main(loop: Loop) -> None:
        a, b = socket.socketpair()
        with a, b:
            receiving = loop.create_task(loop.sock_recv(a, 10))
            sending = loop.create_task(loop.sock_sendall(b, bytes(4_000_000)))
            got = len(await receiving)
            while got < 4_000_000:
                got += len(await loop.sock_recv(a, 1_000_000))
            await sending

    run(main)


@both
def test_the_other_end_is_gone(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            b.close()
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(a, b"x" * 100)
            await asyncio.sleep(0.02)
            with pytest.raises(BrokenPipeError):
                await loop.sock_sendall(a, b"x" * 100)
        with tcp() as (a, b):
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            b.close()
            with pytest.raises(ConnectionResetError):
                await receiving
        with pair() as (a, b):
            sending = loop.create_task(loop.sock_sendall(a, bytes(4_000_000)))
            await asleep(sending)
            b.close()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                await sending

    run(main)


@both
def test_ten_megabytes_to_a_slow_reader(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            data = os.urandom(10_000_000)
            sending = loop.create_task(loop.sock_sendall(a, data))
            got = bytearray()
            while len(got) < len(data):
                got += await loop.sock_recv(b, random.choice([1000, 100_000, 1_000_000]))
                if random.random() < 0.2:
                    await asyncio.sleep(0.001)
            await sending
            assert got == data

    run(main)


@ours
def test_cancelling_at_random(run: Any) -> None:
    """Whatever is cancelled, what was received before and after is what was sent, in order."""

    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            count, sent = 10_000_000, bytearray()
            block = bytes(range(256)) * 40

            async def send() -> None:
                while len(sent) < count:
                    await loop.sock_sendall(a, block)
                    sent.extend(block)
                a.shutdown(socket.SHUT_WR)

            sending, got = loop.create_task(send()), bytearray()
            while True:
                receiving = loop.create_task(loop.sock_recv(b, random.choice([500, 5000, 500_000])))
                for _ in range(random.randrange(4)):
                    await asyncio.sleep(0)
                if random.random() < 0.5:
                    receiving.cancel()
                try:
                    received = await receiving
                except asyncio.CancelledError:
                    continue
                if not received:
                    break
                got += received
            await sending
            assert got == sent

    run(main)


def test_a_loop_with_its_own_call_soon() -> None:
    calls = []

    class Mine(fenshen.EventLoop):
        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
            calls.append(callback)
            return super().call_soon(callback, *args, context=context)

    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            before = len(calls)
            await loop.sock_sendall(b, b"x")
            assert await receiving == b"x"
            assert len(calls) > before

    run_on(Mine, main)
