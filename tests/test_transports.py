"""The transports of stream sockets: on our loop as on asyncio's, and what is ours alone."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import socket
import warnings
from typing import Any

import fenshen
import pytest
from noting import Noting, connect, receive
from sockets import Loop, both, ours, pair, turns


@both
def test_a_life(run: Any) -> None:
    async def main(loop: Loop) -> list[Any]:
        with pair() as (a, b):
            transport, protocol = await connect(loop, a)
            assert isinstance(transport, asyncio.Transport)
            assert transport.get_protocol() is protocol
            await loop.sock_sendall(b, b"hello")
            while protocol.told[-1] != b"hello":
                await turns()
            transport.write(b"ab")
            transport.writelines([b"cd", bytearray(b"ef"), memoryview(b"gh")])
            assert await receive(loop, b, 8) == b"abcdefgh"
            b.shutdown(socket.SHUT_WR)
            await protocol.over
            assert transport.is_closing()
            assert await receive(loop, b, 1) == b""
            return protocol.told

    assert run(main) == ["made", b"hello", "eof", "lost"]


@both
def test_what_is_written_before_the_end_arrives(run: Any) -> None:
    """However the connection ends: asyncio sends at once what the kernel takes."""

    async def main(loop: Loop) -> None:
        for end in ("close", "abort", "write_eof"):
            with pair() as (a, b):
                transport, protocol = await connect(loop, a)
                transport.write(b"one ")
                transport.write(bytearray(b"two"))
                getattr(transport, end)()
                assert await receive(loop, b, 8) == b"one two"
                transport.close()
                await protocol.over

    run(main)


@both
def test_nothing_lies_around_while_the_loop_does_not_run(run: Any) -> None:
    with pair() as (a, b):
        loop = fenshen.new_event_loop() if run.args[0] is fenshen.new_event_loop else asyncio.SelectorEventLoop()
        with contextlib.closing(loop):
            transport, protocol = loop.run_until_complete(connect(loop, a))
            transport.write(b"now")
            assert b.recv(10) == b"now"

            async def last() -> None:
                transport.write(b"then")

            loop.run_until_complete(last())
            assert b.recv(10) == b"then"
            transport.close()
            loop.run_until_complete(protocol.over)


@ours
def test_the_writes_of_a_turn_leave_together(run: Any) -> None:
    async def main(loop: Any) -> None:
        with pair(socket.SOCK_SEQPACKET) as (a, b):
            protocol = Noting()
            transport = loop._make_socket_transport(a, protocol)
            for part in (b"one", b" two", b" three"):
                transport.write(part)
            assert transport.get_write_buffer_size() == 13
            await turns(2)
            b.settimeout(10)
            assert b.recv(100) == b"one two three"
            assert transport.get_write_buffer_size() == 0
            transport.close()
            await protocol.over

    run(main)


@both
def test_bytes_that_change_after_the_write(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            transport, protocol = await connect(loop, a)
            for size in (10, 20_000):
                data = bytearray(b"x" * size)
                transport.write(data)
                data[:] = b"y" * size
                data.clear()
                assert await receive(loop, b, size) == b"x" * size
            transport.close()
            await protocol.over

    run(main)


@both
def test_a_slow_reader(run: Any) -> None:
    async def main(loop: Loop) -> list[Any]:
        with pair() as (a, b):
            transport, protocol = await connect(loop, a)
            transport.set_write_buffer_limits(high=50_000, low=10_000)
            assert transport.get_write_buffer_limits() == (10_000, 50_000)
            total = 0
            while "pause" not in protocol.told:
                transport.write(b"z" * 10_000)
                total += 10_000
                await turns(1)
            assert 50_000 < transport.get_write_buffer_size() <= 60_000
            assert len(await receive(loop, b, total)) == total
            while transport.get_write_buffer_size():
                await turns(1)
            transport.close()
            await protocol.over
            return protocol.told

    assert run(main) == ["made", "pause", "resume", "lost"]


@both
def test_limits_that_make_no_sense(run: Any) -> None:
    async def main(loop: Loop) -> list[str]:
        words = []
        with pair() as (a, _):
            transport, protocol = await connect(loop, a)
            for limits in ({"high": 1, "low": 2}, {"low": -1}, {"high": -1}):
                with pytest.raises(ValueError, match="high") as caught:
                    transport.set_write_buffer_limits(**limits)
                words.append(str(caught.value))
            transport.set_write_buffer_limits()
            transport.set_write_buffer_limits(low=5)
            words.append(str(transport.get_write_buffer_limits()))
            transport.set_write_buffer_limits(high=0)
            words.append(str(transport.get_write_buffer_limits()))
            transport.close()
            await protocol.over
        return words

    assert run(main) == [
        "high (1) must be >= low (2) must be >= 0",
        "high (-4) must be >= low (-1) must be >= 0",
        "high (-1) must be >= low (-1) must be >= 0",
        "(5, 20)",
        "(0, 0)",
    ]


@both
def test_what_cannot_be_written(run: Any) -> None:
    async def main(loop: Loop) -> list[str]:
        words = []
        with pair() as (a, _):
            transport, protocol = await connect(loop, a)
            for data in ("text", 7, None, [b"x"]):
                with pytest.raises(TypeError) as caught:
                    transport.write(data)
                words.append(str(caught.value))
            transport.write_eof()
            with pytest.raises(RuntimeError) as refused:
                transport.write(b"late")
            words.append(str(refused.value))
            transport.write_eof()
            transport.close()
            await protocol.over
            transport.close()
            transport.abort()
            transport.pause_reading()
            transport.resume_reading()
        return words

    kinds = ["str", "int", "NoneType", "list"]
    expected = [f"data argument must be a bytes-like object, not {kind!r}" for kind in kinds]
    assert run(main) == [*expected, "Cannot call write() after write_eof()"]


@both
def test_reading_stops_and_goes_on(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            transport, protocol = await connect(loop, a)
            for i in range(5):
                transport.pause_reading()
                transport.pause_reading()
                assert not transport.is_reading()
                await loop.sock_sendall(b, b"%d" % i)
                await turns(20)
                assert protocol.told[1:] in ([], [b"01234"[:i]])
                transport.resume_reading()
                transport.resume_reading()
                while protocol.told[-1] == "made" or len(protocol.told[-1]) <= i:
                    await turns(1)
            transport.pause_reading()
            b.close()
            await turns(20)
            assert protocol.told == ["made", b"01234"]
            transport.resume_reading()
            await protocol.over
            assert protocol.told == ["made", b"01234", "eof", "lost"]

    run(main)


@both
def test_pausing_within_a_callback(run: Any) -> None:
    class Pausing(Noting):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            transport, protocol = await connect(loop, a, Pausing)
            await loop.sock_sendall(b, b"1")
            while protocol.told[-1] != b"1":
                await turns(1)
            await loop.sock_sendall(b, b"2")
            await turns(20)
            assert protocol.told == ["made", b"1"]
            transport.abort()
            await protocol.over

    run(main)


@both
def test_a_buffered_protocol(run: Any) -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(7)
            self.got = b""
            self.over = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            assert sizehint == -1
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.got += self.buffer[:nbytes]

        def connection_lost(self, exc: BaseException | None) -> None:
            self.over.set_result(None)

    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            _, protocol = await connect(loop, a, Buffered)
            await loop.sock_sendall(b, bytes(range(100)))
            b.close()
            await protocol.over
            assert protocol.got == bytes(range(100))

    run(main)


@both
def test_another_protocol_takes_over(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            transport, first = await connect(loop, a)
            await loop.sock_sendall(b, b"1")
            while first.told[-1] != b"1":
                await turns(1)
            second = Noting()
            transport.set_protocol(second)
            assert transport.get_protocol() is second
            await loop.sock_sendall(b, b"2")
            while not second.told:
                await turns(1)
            transport.close()
            await second.over
            assert (first.told, second.told) == (["made", b"1"], [b"2", "lost"])

    run(main)


@both
def test_the_context_of_callbacks(run: Any) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")
    seen: list[str] = []

    class Seeing(Noting):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            seen.append(var.get())

        def data_received(self, data: bytes) -> None:
            seen.append(var.get())
            self.transport.close()

        def connection_lost(self, exc: BaseException | None) -> None:
            seen.append(var.get())
            super().connection_lost(exc)

    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            var.set("the maker's")
            _, protocol = await connect(loop, a, Seeing)
            var.set("another")
            await loop.sock_sendall(b, b"x")
            await protocol.over

    run(main)
    assert seen == ["the maker's"] * 3


@both
def test_one_that_nobody_closed(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            fd = os.dup(a.fileno())
            transport, _ = await connect(loop, socket.socket(fileno=fd), asyncio.Protocol)
            transport.pause_reading()
            shown = repr(transport)[:8]
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                del transport
                # What is paused is watched until its file is ready.
                b.send(b"x")
                await asyncio.sleep(0.01)
                for _ in range(3):
                    gc.collect()
            words = [str(w.message) for w in caught if w.category is ResourceWarning]
            assert any(w.startswith("unclosed transport") for w in words), (words, shown)
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)

    run(main)


@both
def test_a_descriptor_that_comes_back(run: Any) -> None:
    """The number of a closed connection is the next one's: nothing of the old one reaches the new one."""

    async def main(loop: Loop) -> None:
        for i in range(50):
            with pair() as (a, b):
                transport, protocol = await connect(loop, a)
                b.send(b"%d" % i)
                while len(protocol.told) < 2:
                    await turns(1)
                b.send(b"late")
                transport.abort()
                await protocol.over
                assert protocol.told == ["made", b"%d" % i, "lost"]

    run(main)


@ours
def test_a_file_that_lives_on_elsewhere(run: Any) -> None:
    """A file that is closed here and open in another process could go on reporting: the loop must not spin."""

    async def main(loop: Any) -> None:
        with pair() as (a, b):
            copy = os.dup(a.fileno())
            transport, protocol = await connect(loop, a)
            b.send(b"x")
            while len(protocol.told) < 2:
                await turns(1)
            transport.abort()
            await protocol.over
            b.send(b"never read")
            start = os.times()
            await asyncio.sleep(0.3)
            end = os.times()
            assert (end.user + end.system) - (start.user + start.system) < 0.2
            os.close(copy)

    run(main)


@both
def test_a_closed_loop(run: Any) -> None:
    loop = fenshen.new_event_loop() if run.args[0] is fenshen.new_event_loop else asyncio.SelectorEventLoop()
    with pair() as (a, _):
        transport, _ = loop.run_until_complete(connect(loop, a))
        loop.close()
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            transport.close()
        transport.close()
        transport.abort()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            del transport, _
            gc.collect()


@both
def test_a_socket_that_has_methods_of_its_own(run: Any) -> None:
    """They are called: what a program's class does with what it sends and receives is done."""

    class Counting(socket.socket):
        sent = received = 0

        def send(self, data: Any, *flags: Any) -> int:
            n = super().send(data, *flags)
            self.sent += n
            return n

        def recv(self, *args: Any) -> bytes:
            data = super().recv(*args)
            self.received += len(data)
            return data

    async def main(loop: Loop) -> None:
        with pair() as (a, b), Counting(fileno=os.dup(a.fileno())) as mine:
            mine.setblocking(False)
            transport, protocol = await connect(loop, mine)
            transport.write(b"12345")
            assert await receive(loop, b, 5) == b"12345"
            await loop.sock_sendall(b, b"abc")
            while protocol.told[-1] != b"abc":
                await turns(1)
            transport.close()
            await protocol.over
            assert (mine.sent, mine.received) == (5, 3)

    run(main)


@both
def test_sendfile_by_a_socket_that_has_methods_of_its_own(run: Any, tmp_path: Any) -> None:
    class Mine(socket.socket):
        def send(self, data: Any, *flags: Any) -> int:
            return super().send(data, *flags)

    async def main(loop: Loop) -> None:
        (tmp_path / "file").write_bytes(b"content")
        with pair() as (a, b), Mine(fileno=os.dup(a.fileno())) as mine, open(tmp_path / "file", "rb") as file:
            mine.setblocking(False)
            transport, protocol = await connect(loop, mine)
            with pytest.raises(RuntimeError, match="is used by transport"):
                loop.add_reader(mine.fileno(), print)
            assert await loop.sendfile(transport, file) == 7
            assert await receive(loop, b, 7) == b"content"
            transport.close()
            await protocol.over

    run(main)


@ours
def test_a_large_view_with_gaps_is_sent(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            transport, protocol = await connect(loop, a)
            data = bytes(range(256)) * 400
            transport.write(memoryview(data)[::2])
            assert await receive(loop, b, len(data) // 2) == data[::2]
            transport.close()
            await protocol.over

    run(main)
