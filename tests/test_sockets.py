"""`loop.sock_recv` and its kin: asyncio's contract, run on asyncio's own loop too, and what ours does beyond it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import random
import signal
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import fenshen
import pytest

Loop = asyncio.AbstractEventLoop
Main = Callable[[Loop], Awaitable[Any]]

FACTORIES = {"fenshen": fenshen.new_event_loop, "asyncio": asyncio.SelectorEventLoop}


def on(name: str, main: Main, seconds: float = 30, debug: bool = False) -> Any:
    """Run a coroutine function on a new loop of that kind."""
    with contextlib.closing(FACTORIES[name]()) as loop:
        loop.set_debug(debug)
        return loop.run_until_complete(asyncio.wait_for(main(loop), seconds))


@pytest.fixture(params=FACTORIES)
def both(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a coroutine function on our loop, and on asyncio's: what both must do alike."""
    return lambda main, *args, **kwargs: on(request.param, main, *args, **kwargs)


@pytest.fixture
def ours() -> Callable[..., Any]:
    """Runs a coroutine function on our loop."""
    return lambda main, *args, **kwargs: on("fenshen", main, *args, **kwargs)


@contextlib.contextmanager
def pair(kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected Unix sockets, both non-blocking."""
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    with a, b:
        a.setblocking(False)
        b.setblocking(False)
        yield a, b


@contextlib.contextmanager
def tcp(family: socket.AddressFamily = socket.AF_INET) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets, both non-blocking."""
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.create_server((host, 0), family=family) as server, socket.socket(family) as a:
        a.connect(server.getsockname())
        b, _ = server.accept()
        with b:
            a.setblocking(False)
            b.setblocking(False)
            yield a, b


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def asleep(task: asyncio.Task[Any]) -> None:
    """Let a task come to its wait, and the loop to its files."""
    await turns()
    await asyncio.sleep(0.01)
    assert not task.done()


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# -- What every operation does ------------------------------------------------------------------------------------------


def test_they_are_coroutine_methods(both: Any) -> None:
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

    both(main)


def test_one_that_is_never_awaited_warns(both: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, _), pytest.warns(RuntimeWarning, match="sock_recv.*never awaited"):
            loop.sock_recv(a, 1)
            gc.collect()

    both(main)


def test_arguments(both: Any) -> None:
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

    both(main)


def test_ssl_sockets_are_refused(both: Any) -> None:
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

    both(main)


def test_debug_mode_wants_non_blocking_sockets(both: Any) -> None:
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

    both(main, debug=True)


def test_a_closed_socket(both: Any) -> None:
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

    both(main)


def test_a_transport_owns_its_socket(both: Any) -> None:
    async def main(loop: Any) -> None:
        with pair() as (a, b):
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=a)
            for made in (loop.sock_recv(a, 1), loop.sock_recv_into(a, bytearray(1))):
                with pytest.raises(RuntimeError, match="File descriptor .* is used by transport"):
                    await made
            transport.abort()
            await turns()
            assert b.recv(1) == b""

    both(main)


def test_a_closed_loop() -> None:
    loop = fenshen.new_event_loop()
    with pair() as (a, _):
        made = loop.sock_recv(a, 1)
        loop.close()
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            made.send(None)


def test_no_cycle_is_left(ours: Any) -> None:
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

    ours(main)


def test_a_socket_is_not_kept_alive(ours: Any) -> None:
    async def main(loop: Loop) -> None:
        a, b = socket.socketpair()
        with b:
            a.setblocking(False)
            task = loop.create_task(loop.sock_recv(a, 10))
            await asleep(task)
            b.send(b"x")
            assert await task == b"x"
            watched = weakref.ref(a)
            with pytest.warns(ResourceWarning):
                del a, task
                gc.collect()
            assert watched() is None

    ours(main)


# -- Receiving and sending ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 100, 16 * 1024, 64 * 1024, 64 * 1024 + 1, 1 << 20, 1 << 30])
def test_receiving_at_any_size(both: Any, n: int) -> None:
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

    both(main)


@pytest.mark.parametrize(
    "make", [bytes, bytearray, memoryview, lambda data: memoryview(data).cast("B", (2, len(data) // 2))]
)
def test_sending_any_bytes(ours: Any, make: Any) -> None:
    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            data = os.urandom(4_000_000)
            sending = loop.create_task(loop.sock_sendall(a, make(data)))
            got = bytearray()
            while len(got) < len(data):
                got += await loop.sock_recv(b, 100_000)
            assert await sending is None
            assert got == data

    ours(main)


def test_sending_items_of_many_bytes(ours: Any) -> None:
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

    ours(main)


def test_what_is_being_sent_cannot_be_resized(both: Any) -> None:
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

    both(main)


def test_sending_nothing(both: Any) -> None:
    async def main(loop: Loop) -> None:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with pair(kind) as (a, b):
                assert await loop.sock_sendall(a, b"") is None
                await loop.sock_sendall(a, b"x")
                assert await loop.sock_recv(b, 10) == (b"x" if kind == socket.SOCK_STREAM else b"")

    both(main)


@pytest.mark.parametrize("make", [bytearray, lambda n: memoryview(bytearray(n)), lambda n: memoryview(bytearray(n))[3:]])
def test_receiving_into(both: Any, make: Any) -> None:
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

    both(main)


def test_datagrams_come_whole(both: Any) -> None:
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

    both(main)


def test_a_blocking_socket_does_not_block_the_loop(ours: Any) -> None:
    async def main(loop: Loop) -> None:
        a, b = socket.socketpair()
        with a, b:
            receiving = loop.create_task(loop.sock_recv(a, 10))
            sending = loop.create_task(loop.sock_sendall(b, bytes(4_000_000)))
            got = len(await receiving)
            while got < 4_000_000:
                got += len(await loop.sock_recv(a, 1_000_000))
            await sending

    ours(main)


def test_the_other_end_is_gone(both: Any) -> None:
    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            b.close()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                for _ in range(10):
                    await loop.sock_sendall(a, b"x" * 100)
                    await asyncio.sleep(0.01)
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

    both(main)


def test_ten_megabytes_to_a_slow_reader(both: Any) -> None:
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

    both(main)


def test_cancelling_at_random(ours: Any) -> None:
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

    ours(main)


# -- Cancelling, closing, sharing ---------------------------------------------------------------------------------------


def watched(loop: Any) -> list[int]:
    return [fd for fd, *_ in loop._watched()]


def test_cancelling_ends_the_watch(ours: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            full = loop.create_task(loop.sock_sendall(b, bytes(4_000_000)))
            receiving = loop.create_task(loop.sock_recv(b, 10))
            await asleep(receiving)
            assert watched(loop) == [b.fileno()]
            await cancelled(receiving)
            await cancelled(full)
            assert watched(loop) == []
            while True:
                try:
                    a.recv(1_000_000)
                except BlockingIOError:
                    break
            await loop.sock_sendall(a, b"later")
            assert await loop.sock_recv(b, 10) == b"later"

    ours(main)


def test_a_cancelled_operation_loses_no_data(ours: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            receiving = loop.create_task(loop.sock_recv(b, 10))
            await asleep(receiving)
            a.send(b"data")
            while not receiving.get_coro().cr_await.done():
                await asyncio.sleep(0)
                if receiving.done():
                    break
            receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                assert await receiving == b"data"
                return
            assert await loop.sock_recv(b, 10) == b"data"

    ours(main)


def test_closing_the_coroutine(ours: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            made = loop.sock_recv(a, 10)
            made.send(None)
            assert watched(loop) == [a.fileno()]
            made.close()
            assert watched(loop) == []
            with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                made.send(None)
            b.send(b"x")
            assert await loop.sock_recv(a, 10) == b"x"

    ours(main)


def test_a_socket_closed_while_it_is_waited_for(both: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            a.close()
            b.close()
            await turns()
            if not receiving.done():
                receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await receiving
        with pair() as (a, b):
            b.send(b"x")
            assert await loop.sock_recv(a, 10) == b"x"

    both(main)


def test_a_number_that_comes_back_is_another_socket(both: Any) -> None:
    async def main(loop: Loop) -> None:
        seen = set()
        for i in range(200):
            with pair() as (a, b):
                seen.add(a.fileno())
                for _ in range(2):
                    receiving = loop.create_task(loop.sock_recv(a, 10))
                    await turns(3)
                    if i % 3 == 1:
                        b.send(b"x" * 10)
                    if i % 3 == 2:
                        await cancelled(receiving)
                        continue
                    b.send(b"y")
                    assert await receiving
        assert len(seen) < 10

    both(main)


def test_a_number_reused_while_the_old_operation_waits(ours: Any) -> None:
    async def main(loop: Loop) -> None:
        a, b = socket.socketpair()
        a.setblocking(False)
        old = loop.create_task(loop.sock_recv(a, 10))
        await asleep(old)
        number = a.fileno()
        a.close()
        c, d = socket.socketpair()
        with b, c, d:
            assert c.fileno() == number
            c.setblocking(False)
            new = loop.create_task(loop.sock_recv(c, 10))
            await asleep(new)
            d.send(b"x")
            assert await new == b"x"
            with pytest.raises(OSError, match="Bad file descriptor"):
                await old

    ours(main)


def test_another_file_put_under_a_socket(ours: Any) -> None:
    """`os.dup2` takes the registration away, and no object shows it."""

    async def main(loop: Loop) -> None:
        with pair() as (a, b), pair() as (c, d):
            b.send(b"1")
            assert await loop.sock_recv(a, 10) == b"1"
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            b.send(b"2")
            assert await receiving == b"2"
            os.dup2(c.fileno(), a.fileno())
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            d.send(b"3")
            assert await asyncio.wait_for(receiving, 5) == b"3"

    ours(main)


def test_two_receive_on_one_socket(ours: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            first = loop.create_task(loop.sock_recv(a, 3))
            await asleep(first)
            second = loop.create_task(loop.sock_recv(a, 3))
            await asleep(second)
            b.send(b"123")
            assert await first == b"123"
            assert not second.done()
            b.send(b"456")
            assert await second == b"456"
            three = [loop.create_task(loop.sock_recv(a, 1)) for _ in range(3)]
            await asleep(three[0])
            three[1].cancel()
            b.send(b"78")
            assert (await three[0], await three[2]) == (b"7", b"8")

    ours(main)


def test_receiving_and_sending_at_once(both: Any) -> None:
    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            data = os.urandom(3_000_000)

            async def receive(sock: socket.socket) -> bytes:
                got = bytearray()
                while len(got) < len(data):
                    got += await loop.sock_recv(sock, 100_000)
                return bytes(got)

            sends = [loop.sock_sendall(s, data) for s in (a, b)]
            got = await asyncio.gather(receive(a), receive(b), *sends)
            assert got[:2] == [data, data]

    both(main)


def test_add_reader_and_receiving_in_turn(both: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            for i in range(20):
                future = loop.create_future()
                loop.add_reader(a, lambda future=future: future.done() or future.set_result(a.recv(10)))
                b.send(b"%d" % i)
                assert await future == b"%d" % i
                assert loop.remove_reader(a)
                receiving = loop.create_task(loop.sock_recv(a, 10))
                await turns(i % 4)
                b.send(b"x%d" % i)
                assert await receiving == b"x%d" % i
                assert not loop.remove_reader(a)

    both(main)


def test_a_reader_beside_an_operation(ours: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            seen = []
            loop.add_writer(a, seen.append, 1)
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            assert loop.remove_writer(a)
            assert seen
            b.send(b"x")
            assert await receiving == b"x"

    ours(main)



@pytest.mark.parametrize("after", ["nothing", "cancel", "close the other end"])
def test_a_kept_registration_does_not_spin(ours: Any, after: str) -> None:
    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            for _ in range(3):
                b.send(b"x")
                receiving = loop.create_task(loop.sock_recv(a, 10))
                assert await receiving == b"x"
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            if after == "cancel":
                await cancelled(receiving)
            else:
                b.send(b"x")
                await receiving
            b.send(b"nobody reads this")
            if after == "close the other end":
                b.close()
            await asyncio.sleep(0.05)
            before = time.process_time()
            await asyncio.sleep(0.3)
            assert time.process_time() - before < 0.1
            assert await loop.sock_recv(a, 100) == b"nobody reads this"

    ours(main)


def test_a_socket_that_lives_on_in_a_child_does_not_spin(ours: Any) -> None:
    """The kernel goes on reporting a file that only the child holds; the loop starts a new set then."""

    async def main(loop: Loop) -> None:
        with tcp() as (other, other_end), tcp() as (a, b):
            waiting = loop.create_task(loop.sock_recv(other, 10))
            b.send(b"x")
            receiving = loop.create_task(loop.sock_recv(a, 10))
            assert await receiving == b"x"
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            b.send(b"x")
            await receiving
            child = os.fork()
            if not child:
                time.sleep(20)
                os._exit(0)
            try:
                a.close()
                b.send(b"for the child")
                await asyncio.sleep(0.05)
                before = time.process_time()
                await asyncio.sleep(0.3)
                assert time.process_time() - before < 0.1
                other_end.send(b"y")
                assert await waiting == b"y"
            finally:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

    ours(main)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_uses_the_loop(ours: Any) -> None:
    """A loop that did not run at the fork goes on in the child, with registrations of its own."""
    loop = fenshen.new_event_loop()
    with contextlib.closing(loop), pair() as (a, b):

        async def echo(message: bytes) -> bytes:
            receiving = loop.create_task(loop.sock_recv(a, 100))
            await turns()
            await loop.sock_sendall(b, message)
            return await receiving

        assert loop.run_until_complete(echo(b"before")) == b"before"
        child = os.fork()
        if not child:
            try:
                os._exit(0 if loop.run_until_complete(asyncio.wait_for(echo(b"child"), 5)) == b"child" else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert loop.run_until_complete(echo(b"after")) == b"after"


def test_data_from_another_thread(both: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            for i in range(20):
                threading.Timer(0.001 * (i % 3), b.send, [b"x"]).start()
                assert await loop.sock_recv(a, 10) == b"x"

    both(main)


def test_nothing_waits_by_a_kept_registration(ours: Any) -> None:
    """What the loop keeps for later is nobody's wait."""

    async def main(loop: Any) -> None:
        with pair() as (a, b):
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            assert loop._watched() == [(a.fileno(), True, False, False)]
            b.send(b"x")
            await receiving
            assert loop._watched() == []

    ours(main)


# -- Objects that are like sockets --------------------------------------------------------------------------------------


class Counting(socket.socket):
    """A socket whose own methods are to be asked."""

    calls = 0

    def recv(self, *args: Any) -> bytes:
        self.calls += 1
        return super().recv(*args)

    def send(self, *args: Any) -> int:
        self.calls += 1
        return super().send(*args)


def test_overridden_methods_are_called(both: Any) -> None:
    async def main(loop: Loop) -> None:
        a, b = socket.socketpair()
        c = Counting(fileno=a.detach())
        with b, c:
            b.setblocking(False)
            c.setblocking(False)
            receiving = loop.create_task(loop.sock_recv(c, 10))
            await asleep(receiving)
            b.send(b"x")
            assert await receiving == b"x"
            assert c.calls >= 2
            data = os.urandom(3_000_000)
            sending = loop.create_task(loop.sock_sendall(c, memoryview(data)))
            got = bytearray()
            while len(got) < len(data):
                got += await loop.sock_recv(b, 100_000)
            await sending
            assert got == data

    both(main)


class Duck:
    """Not a socket at all, and not to be weakly referenced."""

    __slots__ = ("sock",)

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


def test_anything_with_the_methods_will_do(both: Any) -> None:
    async def main(loop: Any) -> None:
        with pair() as (a, b):
            duck = Duck(a)
            for _ in range(3):
                receiving = loop.create_task(loop.sock_recv(duck, 10))
                await asleep(receiving)
                await loop.sock_sendall(b, b"x")
                assert await receiving == b"x"
                await loop.sock_sendall(duck, b"y")
                assert await loop.sock_recv(b, 10) == b"y"

    both(main)


def test_methods_replaced_in_the_class_are_called(both: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "recv", lambda self, n: b"patched", raising=False)

    async def main(loop: Loop) -> None:
        with pair() as (a, _):
            assert await loop.sock_recv(a, 10) == b"patched"

    both(main)


# -- Connecting, accepting, datagrams with addresses --------------------------------------------------------------------


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_connecting_and_accepting(both: Any, family: socket.AddressFamily) -> None:
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"

    async def main(loop: Loop) -> None:
        with socket.create_server((host, 0), family=family) as server, socket.socket(family) as client:
            server.setblocking(False)
            client.setblocking(False)
            accepting = loop.create_task(loop.sock_accept(server))
            await asleep(accepting)
            assert await loop.sock_connect(client, server.getsockname()[:2]) is None
            connection, address = await accepting
            with connection:
                assert connection.gettimeout() == 0
                assert type(connection) is socket.socket
                assert address == client.getsockname()
                await loop.sock_sendall(client, b"x")
                assert await loop.sock_recv(connection, 10) == b"x"

    both(main)


def test_many_connections(both: Any) -> None:
    async def main(loop: Loop) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
            server.setblocking(False)

            async def client(i: int) -> None:
                with socket.socket() as sock:
                    sock.setblocking(False)
                    await loop.sock_connect(sock, server.getsockname())
                    for j in range(10):
                        message = f"{i} {j}".encode()
                        await loop.sock_sendall(sock, message)
                        assert await loop.sock_recv(sock, 100) == message

            async def serve(connection: socket.socket) -> None:
                with connection:
                    while message := await loop.sock_recv(connection, 100):
                        await loop.sock_sendall(connection, message)

            clients = [loop.create_task(client(i)) for i in range(50)]
            servers = [loop.create_task(serve((await loop.sock_accept(server))[0])) for _ in clients]
            await asyncio.gather(*clients, *servers)

    both(main)


def test_connecting_by_name(both: Any) -> None:
    async def main(loop: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("localhost", server.getsockname()[1]))
            assert client.getpeername() == server.getsockname()
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(socket.gaierror):
                await loop.sock_connect(client, ("no such host.invalid", 80))

    both(main)


def test_a_refused_connection(both: Any) -> None:
    async def main(loop: Loop) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError) as caught:
                await loop.sock_connect(client, address)
            assert caught.value.errno == errno.ECONNREFUSED
            assert caught.value.args[1] == f"Connect call failed {address}"

    both(main)


def test_unix_addresses(both: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "s")

    async def main(loop: Loop) -> None:
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            with pytest.raises(FileNotFoundError):
                client.setblocking(False)
                await loop.sock_connect(client, path)
            server.bind(path)
            server.listen()
            server.setblocking(False)
            await loop.sock_connect(client, path)
            connection, _ = await loop.sock_accept(server)
            with connection:
                await loop.sock_sendall(connection, b"x")
                assert await loop.sock_recv(client, 10) == b"x"
        os.unlink(path)

    both(main)


def test_connecting_is_cancelled(both: Any) -> None:
    async def main(loop: Any) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
            sockets = [socket.socket() for _ in range(10)]
            for sock in sockets:
                sock.setblocking(False)
            connecting = [loop.create_task(loop.sock_connect(s, server.getsockname())) for s in sockets]
            await asyncio.sleep(0.05)
            for task in connecting:
                task.cancel()
            await asyncio.gather(*connecting, return_exceptions=True)
            assert all(task.done() for task in connecting)
            for sock in sockets:
                sock.close()

    both(main)


@pytest.mark.skipif(not hasattr(asyncio.SelectorEventLoop, "sock_sendto"), reason="asyncio has it from 3.11 on")
def test_udp(both: Any) -> None:
    async def main(loop: Any) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as a, socket.socket(type=socket.SOCK_DGRAM) as b:
            for sock in (a, b):
                sock.setblocking(False)
                sock.bind(("127.0.0.1", 0))
            receiving = loop.create_task(loop.sock_recvfrom(b, 100))
            await asleep(receiving)
            assert await loop.sock_sendto(a, b"hello", b.getsockname()) == 5
            assert await receiving == (b"hello", a.getsockname())
            buffer = bytearray(10)
            receiving = loop.create_task(loop.sock_recvfrom_into(b, buffer))
            await asleep(receiving)
            await loop.sock_sendto(a, b"again", b.getsockname())
            assert await receiving == (5, a.getsockname())
            assert buffer[:5] == b"again"
            await loop.sock_sendto(a, b"third", b.getsockname())
            assert await loop.sock_recvfrom_into(b, buffer, 3) == (3, a.getsockname())
            a.connect(b.getsockname())
            await loop.sock_sendall(a, b"x" * 60_000)
            assert len(await loop.sock_recv(b, 65_536)) == 60_000
            with pytest.raises(OSError) as caught:  # noqa: PT011
                await loop.sock_sendto(a, b"x" * 100_000, b.getsockname())
            assert caught.value.errno == errno.EMSGSIZE

    both(main)


def test_sendfile_goes_by_the_same_socket(both: Any, tmp_path: Any) -> None:
    path = tmp_path / "file"
    data = os.urandom(2_000_000)
    path.write_bytes(data)

    async def main(loop: Loop) -> None:
        with tcp() as (a, b), path.open("rb") as file:
            await loop.sock_sendall(a, b"head")
            sending = loop.create_task(loop.sock_sendfile(a, file))
            got = bytearray()
            while len(got) < len(data) + 4:
                got += await loop.sock_recv(b, 100_000)
            assert await sending == len(data)
            assert got == b"head" + data

    both(main)
