"""`StreamReader`: each call gives what asyncio's own gives."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import types
import weakref

import pytest
from fenshen import _fenshen
from on_loops import each_loop, run, turns
from stream_sides import NATIVE, Remembers, alike, result, said

Reader = _fenshen.StreamReader

# What is fed, whether the end follows, and what is read.
CASES = [
    ([b"one\ntwo\nrest"], True, [("readline",), ("readline",), ("readline",), ("readline",)]),
    ([b"one\ntwo"], False, [("readline",), ("read", 2), ("read", 100)]),
    ([b"abc", b"def"], True, [("read", 2), ("read", 3), ("read", 3), ("read", 3)]),
    ([b"abc", b"def"], True, [("read", -1), ("read", -1)]),
    ([b"abc", b"def"], True, [("read",), ("read", 0)]),
    ([b"abcdef"], True, [("read", 0), ("readexactly", 0), ("readexactly", 4), ("readexactly", 4), ("readexactly", 1)]),
    ([b"abcdef"], True, [("readexactly", -1), ("readexactly", -7), ("read", -7)]),
    ([b"abcdef"], True, [("readexactly", True), ("read", False), ("read", True), ("readexactly", 2**100)]),
    ([b"abcdef"], True, [("read", 2**100)]),
    ([b"a\r\nb\r\n\r\nc"], True, [("readuntil", b"\r\n\r\n"), ("readuntil", b"\r\n"), ("read",)]),
    ([b"aXXbXc"], True, [("readuntil", b"X"), ("readuntil", b"XbX"), ("readuntil", b"c"), ("readuntil", b"c")]),
    ([b"abc"], True, [("readuntil", b""), ("readuntil", bytearray(b"b")), ("readuntil", memoryview(b"c"))]),
    ([b"x" * 30 + b"\nshort\n"], True, [("readline",), ("readline",), ("readline",)]),
    ([b"x" * 30, b"\nshort\n"], True, [("readuntil",), ("readuntil", b"\n"), ("readline",), ("readline",)]),
    ([b"x" * 16 + b"\n"], True, [("readline",), ("readline",)]),
    ([b"x" * 17 + b"\n"], True, [("readuntil", b"\n"), ("read", 100)]),
    ([b"x" * 17], True, [("readuntil", b"\n"), ("readline",), ("read",)]),
    ([b"x" * 18], False, [("readuntil", b"ab"), ("readuntil", b"\n"), ("readline",)]),
    ([bytearray(b"one\n"), memoryview(b"two\n"), b""], True, [("readline",), ("readline",), ("readline",)]),
    ([[65, 66, 10], (67,)], True, [("readline",), ("readline",)]),
]
SINCE_3_13 = [
    ([b"a;b,c"], True, [("readuntil", (b",", b";")), ("readuntil", (b";", b",")), ("readuntil", (b",",))]),
    ([b"one\r\ntwo\n"], True, [("readuntil", (b"\r\n", b"\n")), ("readuntil", (b"\r\n", b"\n"))]),
    ([b"abcd"], True, [("readuntil", (b"cd", b"abcd", b"bc"))]),
    ([b"abcd"], True, [("readuntil", ()), ("readuntil", (b"", b"a")), ("readuntil", (b"a", b""))]),
]


@each_loop
@pytest.mark.parametrize("ended", ["fed before", "fed meanwhile"])
def test_reads_give_what_asyncio_gives(factory, ended):
    async def program(kinds):
        out = []
        for chunks, eof, calls in CASES + (SINCE_3_13 if sys.version_info >= (3, 13) else []):
            reader = kinds.Reader(limit=16)

            def feed(reader=reader, chunks=chunks, eof=eof):
                for chunk in chunks:
                    out.append(said(lambda chunk=chunk: reader.feed_data(chunk)))
                if eof:
                    reader.feed_eof()

            if ended == "fed before":
                feed()
            else:
                asyncio.get_running_loop().call_soon(feed)
            for name, *args in calls:
                out.append(await result(asyncio.wait_for(getattr(reader, name)(*args), 5)))
                out.append((name, args, bytes(reader._buffer), reader.at_eof(), repr(reader)))
        return out

    assert len(alike(program, factory)) > 140


@each_loop
def test_wrong_arguments_are_refused_in_asyncios_words(factory):
    async def program(kinds):
        reader = kinds.Reader()
        reader.feed_data(b"abc")
        out = []
        for name, argument in [("read", None), ("read", "1"), ("readexactly", None), ("readexactly", "x")]:
            out.append(await result(getattr(reader, name)(argument)))
        out.append(await result(reader.readuntil(5)))
        out.append(await result(reader.readuntil("b")))
        out += [said(lambda limit=limit: kinds.Reader(limit)) for limit in (0, -1, "1")]
        out.append(bytes(reader._buffer))
        out.append((await result(reader.read(1.5))).partition("(")[0])
        return out

    alike(program, factory)


@each_loop
def test_waiting_and_the_words_of_two_that_wait(factory):
    async def program(kinds):
        reader, out = kinds.Reader(), []
        for first in ("read", "readline", "readexactly", "readuntil"):
            waiting = asyncio.ensure_future(_call(reader, first))
            await turns()
            out.append((reader._waiter is not None, waiting.done()))
            for name in ("read", "readline", "readexactly", "readuntil"):
                out.append(await result(_call(reader, name)))
            reader.feed_data(b"ab\n")
            out.append(reader._waiter)
            out.append(await result(waiting))
            out.append(await result(reader.read(100)) if reader._buffer else "all was read")
        reader.feed_eof()
        out.append(await result(reader._wait_for_data("anything")))
        return out

    alike(program, factory)


def _call(reader, name):
    return getattr(reader, name)(*([3] if name in ("read", "readexactly") else []))


@each_loop
def test_a_cancelled_read_loses_nothing(factory):
    async def program(kinds):
        reader, out = kinds.Reader(), []
        for name in ("read", "readline", "readexactly", "readuntil"):
            for fed in (b"", b"a"):
                task = asyncio.ensure_future(_call(reader, name))
                await turns()
                if name != "read":
                    reader.feed_data(fed)
                    await turns()
                task.cancel()
                if name == "read":
                    reader.feed_data(fed)
                out.append(await result(task))
                out.append((reader._waiter, bytes(reader._buffer)))
            reader._buffer.clear()
        # Cancelled after its wake-up: what it was woken for stays.
        for name in ("read", "readline", "readexactly", "readuntil"):
            task = asyncio.ensure_future(_call(reader, name))
            await turns()
            reader.feed_data(b"ab\n")
            task.cancel()
            out.append(await result(task))
            out.append((reader._waiter, bytes(reader._buffer)))
            reader._buffer.clear()
        return out

    alike(program, factory)


def test_a_cancelled_read_to_the_end_puts_back_what_it_took():
    async def main():
        reader = Reader(limit=4)
        task = asyncio.ensure_future(reader.read())
        for piece in (b"abcdef", b"ghi"):
            reader.feed_data(piece)
            await turns()
        reader.feed_data(b"jkl")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bytes(reader._buffer) == b"abcdefghijkl"
        reader.feed_eof()
        assert await reader.read() == b"abcdefghijkl"

    run(main())


@each_loop
def test_exceptions_reach_who_waits_and_who_comes_later(factory):
    async def program(kinds):
        out = []
        for exc in (ValueError("broken"), KeyError):
            reader = kinds.Reader()
            waiting = asyncio.ensure_future(reader.readline())
            await turns()
            reader.feed_data(b"abc")
            await turns()
            reader.set_exception(exc)
            out.append(await result(waiting))
            out.append(repr(reader.exception()))
            out.append(repr(reader))
            for name in ("read", "readline", "readexactly", "readuntil"):
                out.append(await result(_call(reader, name)))
            out.append(await result(reader.readexactly(-1)))
            out.append(await result(reader.readuntil(b"")))
            reader._exception = None
            out.append(await result(reader.read(10)))
        return out

    alike(program, factory)


@each_loop
@pytest.mark.parametrize("limit", [1, 2, 7, 8])
def test_the_transport_is_paused_and_resumed_when_asyncio_does_it(factory, limit):
    async def program(kinds):
        reader, transport, out = kinds.Reader(limit=limit), Remembers(), []
        reader.set_transport(transport)
        out.append(said(lambda: reader.set_transport(transport)))

        def note():
            out.append((list(transport.calls), reader._paused, len(reader._buffer)))

        for size in range(1, 12):
            reader.feed_data(b"x" * size)
            note()
            await reader.read(size - 1)
            note()
        for size in (1, 2, 3):
            await reader.readexactly(size)
            note()
        # More than the transport would ever give: waiting for it has it go on.
        big = asyncio.ensure_future(reader.readexactly(100))
        for _ in range(11):
            await turns()
            reader.feed_data(b"y" * 10)
            note()
        out.append(await result(big))
        note()
        rest = asyncio.ensure_future(reader.read())
        for _ in range(5):
            reader.feed_data(b"z" * 9)
            await turns()
            note()
        reader.feed_eof()
        out.append(await result(rest))
        note()
        return out

    alike(program, factory)


@each_loop
def test_a_transport_that_cannot_pause_is_forgotten(factory):
    async def program(kinds):
        reader, transport = kinds.Reader(limit=1), Remembers(pausable=False)
        reader.set_transport(transport)
        for _ in range(3):
            reader.feed_data(b"xxx")
        return [transport.calls, reader._transport, reader._paused, bytes(reader._buffer)]

    alike(program, factory)


@each_loop
def test_after_the_end_and_at_odd_times(factory):
    async def program(kinds):
        reader, out = kinds.Reader(), []
        reader.feed_eof()
        out.append(said(lambda: reader.feed_data(b"")))
        out.append(said(lambda: reader.feed_data(b"x")))
        out.append(await result(reader.read(5)))
        out.append(await result(reader.readline()))
        out.append(await result(reader.readexactly(1)))
        out.append(await result(reader.readuntil()))
        out.append([line async for line in reader])
        other = kinds.Reader()
        other.feed_data(b"a\nb\n\nc")
        other.feed_eof()
        out.append([line async for line in other])
        out.append(await result(other.__anext__()))
        out.append(said(lambda: other.feed_data("text")))
        other._eof = False
        out.append(said(lambda: other.feed_data("text")))
        out.append(said(lambda: other.feed_data(5)))
        return out

    alike(program, factory)


@each_loop
def test_whoever_looks_at_the_buffer_may_change_it(factory):
    async def program(kinds):
        reader, out = kinds.Reader(), []
        reader.feed_data(b"one\ntwo\n")
        buffer = reader._buffer
        out.append((type(buffer).__name__, bytes(buffer), reader._buffer is buffer))
        buffer += b"three\n"
        out.append(await result(reader.readline()))
        out.append(bytes(buffer))
        del buffer[:4]
        reader.feed_data(b"four\n")
        out.append((bytes(buffer), len(reader._buffer)))
        out.append(await result(reader.readexactly(8)))
        buffer.clear()
        out.append(await result(asyncio.wait_for(reader.read(1), 0.01)))
        reader._buffer = bytearray(b"mine")
        out.append(await result(reader.read(10)))
        with memoryview(reader._buffer):
            out.append(bytes(reader._buffer))
        return out

    alike(program, factory)


def test_the_whole_object_comes_out_where_nothing_was_taken_off():
    async def main():
        reader, data = Reader(), bytes(1000)
        reader.feed_data(data)
        assert await reader.readexactly(1000) is data
        reader.feed_data(data)
        assert await reader.read(5000) is data
        reader.feed_data(data)
        assert await reader.read(1) == b"\0"
        assert len(await reader.read(5000)) == 999

    run(main())


def test_its_coroutines_are_coroutines():
    async def main():
        reader = Reader()
        reader.feed_eof()
        for name in ("read", "readline", "readuntil", "readexactly"):
            function = getattr(reader, name)
            assert inspect.iscoroutinefunction(function)
            assert inspect.signature(function) == inspect.signature(getattr(asyncio.StreamReader, name).__get__(reader))
            coroutine = _call(reader, name)
            assert asyncio.iscoroutine(coroutine)
            assert inspect.iscoroutine(coroutine)
            assert isinstance(coroutine, types.CoroutineType)
            assert coroutine.__name__ == name
            coroutine.close()
        assert await asyncio.create_task(reader.read()) == b""
        assert await asyncio.wait_for(reader.readline(), 1) == b""

    run(main())


def test_it_is_asyncios_to_everybody():
    async def main():
        reader = Reader()
        assert isinstance(reader, asyncio.StreamReader)
        assert isinstance(asyncio.StreamReader(), Reader)
        assert issubclass(asyncio.StreamReader, Reader)
        reader.mark = 1
        assert weakref.ref(reader)() is reader
        protocol = NATIVE.Protocol(reader)
        for kind in (asyncio.StreamReaderProtocol, asyncio.streams.FlowControlMixin, asyncio.Protocol):
            assert isinstance(protocol, kind)
        assert isinstance(protocol, asyncio.BaseProtocol)
        writer = NATIVE.Writer(Remembers(), protocol, reader, asyncio.get_running_loop())
        assert isinstance(writer, asyncio.StreamWriter)
        writer.close()

    run(main())


def _derive(base):
    """The same class over asyncio's reader or over ours."""
    space = {}
    for name in ("feed_data", "_wakeup_waiter", "_maybe_resume_transport"):

        def method(self, *args, name=name):
            self.seen.append(name)
            return getattr(base, name)(self, *args)

        space[name] = method
    for name in ("_wait_for_data", "readuntil", "read", "readline"):

        async def coroutine(self, *args, name=name):
            self.seen.append((name, *args))
            return await getattr(base, name)(self, *args)

        space[name] = coroutine
    return type("Derived", (base,), space)


@each_loop
def test_overridden_methods_are_called_where_asyncio_calls_them(factory):
    async def program(kinds):
        reader, out = _derive(kinds.Reader)(limit=8), []
        reader.seen = []
        reader.set_transport(Remembers())
        protocol = kinds.Protocol(reader)

        def later(data, eof=False):
            asyncio.get_running_loop().call_soon(protocol.data_received, data)
            if eof:
                asyncio.get_running_loop().call_soon(protocol.eof_received)

        for name, args, data in [
            ("readline", (), b"abc\nd"),
            ("readexactly", (4,), b"efgh"),
            ("read", (2,), b"ijkl"),
            ("readuntil", (b"kl",), b""),
            ("readline", (), b"x" * 40),
            ("readline", (), b"y" * 40 + b"\n"),
            ("read", (), b"the end"),
        ]:
            later(data, eof=name == "read" and not args)
            out.append(await result(getattr(reader, name)(*args)))
            out.append((list(reader.seen), reader._transport.calls))
            reader.seen.clear()
        out.append([line async for line in reader])
        out.append(reader.seen)
        return out

    alike(program, factory)


@each_loop
def test_a_method_replaced_in_one_object_is_called(factory):
    async def program(kinds):
        reader, seen = kinds.Reader(), []
        protocol = kinds.Protocol(reader)
        reader.feed_data = seen.append
        protocol.data_received(b"one")
        del reader.feed_data
        protocol.data_received(b"two")
        return [seen, bytes(reader._buffer)]

    alike(program, factory)


def test_a_reader_in_a_cycle_is_collected():
    async def main():
        reader = Reader()
        reader.itself = reader
        reader.set_transport(Remembers())
        reader._transport.reader = reader
        reader.feed_data(b"x" * 100)
        reader._buffer  # noqa: B018 - shown, it is an object of its own
        return weakref.ref(reader)

    reference = run(main())
    gc.collect()
    assert reference() is None


def test_debug_mode_remembers_where_it_was_made():
    def make(loop):
        loop.set_debug(True)
        try:
            return Reader(loop=loop)
        finally:
            loop.close()

    from fenshen.loop import new_event_loop

    reader = make(new_event_loop())
    assert reader._source_traceback[-1].name == "make"
    assert NATIVE.Protocol(reader, None, reader._loop)._source_traceback is reader._source_traceback


def test_without_a_loop_it_takes_the_current_one():
    from fenshen.loop import new_event_loop

    loop = new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        assert Reader()._loop is loop
        assert Reader(loop=None)._loop is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()
