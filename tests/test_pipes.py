"""Transports of pipes: what asyncio's do, ours must do, and quickly."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pty
import socket
import stat
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fenshen import _fenshen
from sockets import OURS, Loop, both
from test_leaks import SOAK, descriptors
from twins import logged, on_both, plain

Main = Callable[[Loop], Awaitable[Any]]
Run = Callable[[Main], Any]
MIB = 1024 * 1024


class Log(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.over = asyncio.get_running_loop().create_future()
        self.data = b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data

    def eof_received(self) -> None:
        self.events.append("eof")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(("lost", type(exc)))
        self.over.set_result(exc)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def reader_of(loop: Loop, fd: int) -> tuple[Any, Log]:
    return await loop.connect_read_pipe(Log, os.fdopen(fd, "rb", 0))


async def writer_of(loop: Loop, fd: int) -> tuple[Any, Log]:
    return await loop.connect_write_pipe(Log, os.fdopen(fd, "wb", 0))


# -- Reading ----------------------------------------------------------------------------------------------------------


@both
def test_reading_to_the_end(run: Run) -> None:
    async def main(loop: Loop) -> None:
        r, w = os.pipe()
        transport, log = await reader_of(loop, r)
        assert log.events == ["made"]
        assert transport.is_reading()
        assert isinstance(transport, asyncio.ReadTransport)
        assert not isinstance(transport, asyncio.WriteTransport)
        assert transport.get_protocol() is log
        pipe = transport.get_extra_info("pipe")
        assert pipe.fileno() == r
        assert transport.get_extra_info("nothing", 5) == 5
        os.write(w, b"one")
        await until(lambda: log.data == b"one")
        os.write(w, b" two")
        os.close(w)
        assert await log.over is None
        assert log.data == b"one two"
        assert log.events == ["made", "eof", ("lost", type(None))]
        assert pipe.closed
        assert transport.is_closing()
        assert transport.get_extra_info("pipe") is pipe
        transport.close()

    run(main)


@both
@pytest.mark.parametrize("size", [1, 4096, 32768, 65536, 262144, 700_000])
def test_sizes(run: Run, size: int) -> None:
    async def main(loop: Loop) -> None:
        (r, w), sent = os.pipe(), os.urandom(size)
        (_, log), (writer, _) = await reader_of(loop, r), await writer_of(loop, w)
        for _ in range(4):
            writer.write(sent)
        writer.close()
        await log.over
        assert log.data == sent * 4

    run(main)


@both
def test_pausing(run: Run) -> None:
    async def main(loop: Loop) -> None:
        r, w = os.pipe()
        transport, log = await reader_of(loop, r)
        for _ in range(2):
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            os.write(w, b"x")
            await asyncio.sleep(0.01)
            before = log.data
            transport.resume_reading()
            transport.resume_reading()
            assert transport.is_reading()
            await until(lambda before=before: log.data == before + b"x")  # type: ignore[misc]
        transport.pause_reading()
        transport.close()
        await log.over
        transport.pause_reading()
        transport.resume_reading()
        assert log.data == b"xx"
        os.close(w)

    run(main)


@both
def test_paused_before_it_begins(run: Run) -> None:
    async def main(loop: Loop) -> None:
        class Pauses(Log):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                transport.pause_reading()

        r, w = os.pipe()
        os.write(w, b"x")
        transport, log = await loop.connect_read_pipe(Pauses, os.fdopen(r, "rb", 0))
        await asyncio.sleep(0.02)
        assert log.data == b""
        transport.resume_reading()
        await until(lambda: log.data == b"x")
        os.close(w)
        await log.over

    if sys.version_info >= (3, 11):  # before, asyncio reads even so
        run(main)


@both
def test_closed_while_data_wait(run: Run) -> None:
    async def main(loop: Loop) -> None:
        r, w = os.pipe()
        transport, log = await reader_of(loop, r)
        os.write(w, b"x" * 100)
        transport.close()
        transport.close()
        assert await log.over is None
        assert log.data == b""
        assert log.events == ["made", ("lost", type(None))]
        with pytest.raises(BrokenPipeError):
            os.write(w, b"x")
        os.close(w)

    run(main)


@both
def test_a_protocol_that_fails(run: Run) -> None:
    async def main(loop: Loop) -> None:
        messages: list[str] = []
        loop.set_exception_handler(lambda _, context: messages.append(type(context["exception"]).__name__))

        class Fails(Log):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                raise KeyError

            def eof_received(self) -> None:
                raise IndexError

        r, w = os.pipe()
        _, log = await loop.connect_read_pipe(Fails, os.fdopen(r, "rb", 0))
        for expected in (b"x", b"xx"):
            os.write(w, b"x")
            await until(lambda expected=expected: log.data == expected)  # type: ignore[misc]
        os.close(w)
        assert await log.over is None  # it does not end for that
        assert messages == ["KeyError", "KeyError", "IndexError"]

    run(main)


@both
def test_a_read_that_fails(run: Run) -> None:
    async def main(loop: Loop) -> None:
        messages: list[Any] = []
        loop.set_exception_handler(lambda _, c: messages.append((c["message"], type(c["exception"]).__name__)))
        with socket.create_server(("127.0.0.1", 0)) as server:
            a = socket.create_connection(server.getsockname())
            b, _ = server.accept()
        _, log = await loop.connect_read_pipe(Log, a)
        b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        b.close()
        assert isinstance(await log.over, ConnectionResetError)
        assert messages == [("Fatal read error on pipe transport", "ConnectionResetError")]

    run(main)


@both
def test_a_terminal(run: Run) -> None:
    async def main(loop: Loop) -> None:
        messages: list[Any] = []
        loop.set_exception_handler(lambda _, context: messages.append(context))
        master, slave = pty.openpty()
        assert stat.S_ISCHR(os.fstat(master).st_mode)
        transport, log = await reader_of(loop, master)
        os.write(slave, b"line\n")
        await until(lambda: b"line" in log.data)
        os.close(slave)
        exc = await log.over
        assert isinstance(exc, OSError)  # a terminal that has gone is no error to speak of
        assert messages == []
        transport.close()

    run(main)


# -- Writing ----------------------------------------------------------------------------------------------------------


@both
def test_what_is_written_can_be_read_at_once(run: Run) -> None:
    async def main(loop: Loop) -> None:
        r, w = os.pipe()
        transport, log = await writer_of(loop, w)
        assert isinstance(transport, asyncio.WriteTransport)
        assert transport.can_write_eof()
        transport.write(b"one")
        assert os.read(r, 100) == b"one"
        for data in (bytearray(b"two"), memoryview(b"three"), b"", memoryview(b"x--y")[1:3]):
            transport.write(data)
        await asyncio.sleep(0.01)
        assert os.read(r, 100) == b"twothree--"
        transport.writelines([b"a", b"b"])
        assert os.read(r, 100) == b"ab"
        assert transport.get_write_buffer_size() == 0
        transport.close()
        assert await log.over is None
        assert os.read(r, 1) == b""
        os.close(r)

    run(main)


@both
@pytest.mark.parametrize("how", ["close", "write_eof"])
def test_closing_sends_what_waits(run: Run, how: str) -> None:
    async def main(loop: Loop) -> None:
        (r, w), sent = os.pipe(), os.urandom(300_000)
        transport, log = await writer_of(loop, w)
        transport.write(sent)
        assert transport.get_write_buffer_size() == 300_000 - 65536
        assert log.events == ["made", "pause"]
        getattr(transport, how)()
        transport.write(b"never sent")
        assert transport.is_closing()
        (_, other) = await reader_of(loop, r)
        await other.over
        assert other.data == sent
        assert await log.over is None

    run(main)


@both
def test_data_that_change_while_they_wait(run: Run) -> None:
    async def main(loop: Loop) -> None:
        (r, w), data = os.pipe(), bytearray(os.urandom(200_000))
        expected = bytes(data) + b"more"
        transport, _ = await writer_of(loop, w)
        transport.write(data)
        data[:] = bytes(len(data))
        more = bytearray(b"more")
        transport.write(more)
        more[:] = b"less"
        transport.close()
        _, other = await reader_of(loop, r)
        await other.over
        assert other.data == expected

    run(main)


@both
def test_aborting_drops_what_waits(run: Run) -> None:
    async def main(loop: Loop) -> None:
        r, w = os.pipe()
        transport, log = await writer_of(loop, w)
        transport.write(bytes(300_000))
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        assert await log.over is None
        _, other = await reader_of(loop, r)
        await other.over
        assert len(other.data) == 65536

    run(main)


@both
def test_flow_control(run: Run) -> None:
    async def main(loop: Loop) -> None:
        r, w = os.pipe()
        transport, log = await writer_of(loop, w)
        assert transport.get_write_buffer_limits() == (16384, 65536)
        transport.set_write_buffer_limits(high=1000)
        assert transport.get_write_buffer_limits() == (250, 1000)
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_write_buffer_limits(high=1, low=2)
        transport.write(bytes(65536 + 1000))
        assert log.events == ["made"]
        transport.write(b"x")
        assert log.events == ["made", "pause"]
        left = 65536 + 1001
        while left:
            left -= len(os.read(r, left))
            await asyncio.sleep(0.001)
        await until(lambda: log.events == ["made", "pause", "resume"])
        transport.close()
        await log.over
        os.close(r)

    run(main)


@both
@pytest.mark.parametrize("waiting", [False, True], ids=["idle", "waiting"])
def test_a_reader_that_goes(run: Run, waiting: bool) -> None:
    async def main(loop: Loop) -> None:
        r, w = os.pipe()
        transport, log = await writer_of(loop, w)
        if waiting:
            transport.write(bytes(200_000))
        os.close(r)
        exc = await log.over
        assert type(exc) is (BrokenPipeError if waiting else type(None))
        assert log.events[-1] == ("lost", type(exc))

    run(main)


@both
def test_writing_to_nobody(run: Run) -> None:
    async def main(loop: Loop) -> None:
        r, w = os.pipe()
        transport, log = await writer_of(loop, w)
        os.close(r)
        with logged() as lines:
            for _ in range(7):
                transport.write(b"x")
            assert isinstance(await log.over, BrokenPipeError)
        assert lines == ["pipe closed by peer or os.write(pipe, data) raised exception."] * 2

    run(main)


def test_what_cannot_be_written() -> None:
    def program(side: Any) -> list[str]:
        outcomes = []

        async def main(loop: Loop) -> None:
            r, w = os.pipe()
            transport, log = await writer_of(loop, w)
            for wrong in ("text", 5, None, [b"x"]):
                try:
                    transport.write(wrong)
                except Exception as e:
                    outcomes.append(f"{type(e).__name__}: {e}")
            transport.close()
            await log.over
            os.close(r)

        with contextlib.closing(side.new_loop()) as loop:
            loop.run_until_complete(main(loop))
        return outcomes

    assert on_both(program)[0] == "AssertionError: 'text'"


def test_many_writes_of_a_turn_leave_together() -> None:
    async def main(loop: Loop) -> None:
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # which shows each call of the kernel
        transport, log = await loop.connect_write_pipe(Log, a)
        for i in range(100):
            transport.write(b"%02d" % i)
        assert b.recv(1000) == b"00"
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert b.recv(1000) == b"".join(b"%02d" % i for i in range(1, 65))
        assert b.recv(1000) == b"".join(b"%02d" % i for i in range(65, 100))
        transport.close()
        await log.over
        b.close()

    OURS(main)


# -- Kinds of files ---------------------------------------------------------------------------------------------------


def test_files_that_are_no_pipes() -> None:
    def program(side: Any) -> list[str]:
        async def main(loop: Loop) -> list[str]:
            outcomes = []
            for connect in (loop.connect_read_pipe, loop.connect_write_pipe):
                with tempfile.TemporaryFile() as file:
                    try:
                        await connect(asyncio.Protocol, file)
                    except ValueError as e:
                        outcomes.append(str(e))
            return outcomes

        with contextlib.closing(side.new_loop()) as loop:
            return loop.run_until_complete(main(loop))  # type: ignore[no-any-return]

    assert len(on_both(program)) == 2


@both
def test_null(run: Run) -> None:
    async def main(loop: Loop) -> None:
        transport, log = await loop.connect_write_pipe(Log, open(os.devnull, "wb", 0))  # noqa: SIM115
        transport.write(bytes(200_000))
        assert transport.get_write_buffer_size() == 0
        transport.close()
        assert await log.over is None

    run(main)


@both
def test_one_terminal_both_ways(run: Run) -> None:
    async def main(loop: Loop) -> None:
        master, slave = pty.openpty()
        file = os.fdopen(slave, "r+b", 0)
        reader, read_log = await loop.connect_read_pipe(Log, file)
        writer, write_log = await loop.connect_write_pipe(Log, file)
        os.write(master, b"in\n")
        await until(lambda: read_log.data == b"in\n")
        writer.write(b"out")
        seen = b""
        while b"out" not in seen:
            seen += os.read(master, 100)
        writer.close()
        await write_log.over
        reader.close()
        await read_log.over
        os.close(master)

    files = descriptors()
    run(main)
    gc.collect()
    assert descriptors() == files


# -- How they show themselves, and what is left of them ---------------------------------------------------------------


def test_how_they_show_themselves() -> None:
    def program(side: Any) -> list[str]:
        shown = []

        async def main(loop: Loop) -> None:
            r, w = os.pipe()
            (reader, read_log), (writer, write_log) = await reader_of(loop, r), await writer_of(loop, w)

            def show() -> None:
                for transport in (reader, writer):
                    text = plain(transport).replace(f"fd={r}", "fd=R").replace(f"fd={w}", "fd=W")
                    shown.append(text.replace("_UnixReadPipeT", "ReadPipeT").replace("_UnixWritePipeT", "WritePipeT"))

            await asyncio.sleep(0)
            show()
            reader.pause_reading()
            writer.write(bytes(100_000))
            show()
            writer.close()
            show()
            reader.resume_reading()
            await write_log.over
            await read_log.over
            await asyncio.sleep(0)
            show()

        with contextlib.closing(side.new_loop()) as loop:
            loop.run_until_complete(main(loop))
        return shown

    assert on_both(program)[:2] == ["<ReadPipeTransport fd=R polling>", "<WritePipeTransport fd=W idle bufsize=0>"]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "dropped"])
def test_nothing_is_left(closed: bool) -> None:
    async def main(loop: Loop) -> None:
        r, w = os.pipe()
        (reader, read_log), (writer, write_log) = await reader_of(loop, r), await writer_of(loop, w)
        writer.write(bytes(MIB))
        await until(lambda: len(read_log.data) == MIB)
        reader.itself, writer.itself = reader, writer
        if closed:
            writer.close()
            await write_log.over
            await read_log.over

    kinds = (_fenshen.ReadPipeTransport, _fenshen.WritePipeTransport)
    files = descriptors()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        OURS(main)
        gc.collect()
    unclosed = [str(w.message) for w in caught if "unclosed transport" in str(w.message)]
    assert len(unclosed) == (0 if closed else 2)
    caught.clear()  # warnings hold what they are about
    gc.collect()
    assert descriptors() == files
    assert not [o for o in gc.get_objects() if isinstance(o, kinds)]


def test_what_a_closed_loop_says() -> None:
    def program(side: Any) -> list[str]:
        loop = side.new_loop()
        outcomes = []
        r, w = os.pipe()
        reader, _ = loop.run_until_complete(reader_of(loop, r))
        loop.close()
        try:
            reader.close()
        except RuntimeError as e:
            outcomes.append(str(e))
        outcomes.append(plain(reader).replace(f"fd={r}", "fd=R").replace("_Unix", ""))
        os.close(w)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            del reader
            gc.collect()
        return outcomes

    assert on_both(program)[0] == "Event loop is closed"


# -- cat --------------------------------------------------------------------------------------------------------------


@both
def test_much_through_cat(run: Any) -> None:
    total = 1024 * MIB if SOAK else 64 * MIB
    block = os.urandom(MIB)

    async def main(loop: Loop) -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
        assert process.stdin is not None
        assert process.stdout is not None

        async def feed() -> None:
            assert process.stdin is not None
            for _ in range(total // MIB):
                process.stdin.write(block)
                await process.stdin.drain()
            process.stdin.close()

        feeding = asyncio.ensure_future(feed())
        for _ in range(total // MIB):
            assert await process.stdout.readexactly(MIB) == block
        assert await process.stdout.read() == b""
        await feeding
        assert await process.wait() == 0

    run(main, seconds=300)
