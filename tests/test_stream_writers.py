"""`StreamWriter` and `StreamReaderProtocol`: each call does what asyncio's own does."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import sys
import warnings
import weakref

import pytest
from fenshen.loop import new_event_loop
from on_loops import each_loop, run, turns
from stream_sides import NATIVE, Remembers, alike, result, said
from twins import logged, plain


def a_writer(kinds, **extra):
    """A writer with all that belongs to it, connected."""
    loop = asyncio.get_running_loop()
    reader = kinds.Reader(loop=loop)
    protocol = kinds.Protocol(reader, loop=loop)
    transport = Remembers(extra=extra)
    protocol.connection_made(transport)
    return kinds.Writer(transport, protocol, reader, loop), protocol, reader, transport


def forget(things):
    things.clear()
    gc.collect()


@each_loop
def test_calls_reach_the_transport(factory):
    async def program(kinds):
        writer, protocol, reader, transport = a_writer(kinds, peername="me")
        out = [writer.transport is transport, writer._protocol is protocol, writer._reader is reader]
        out.append(writer._loop is asyncio.get_running_loop())
        out.append(said(lambda: writer.write(b"one")))
        out.append(said(lambda: writer.write(data=b"one")))
        out.append(said(lambda: writer.writelines([b"two", b"three"])))
        out.append(said(writer.can_write_eof))
        out.append(said(writer.write_eof))
        out.append(said(lambda: writer.get_extra_info("peername")))
        out.append(said(lambda: writer.get_extra_info("nothing", 5)))
        out.append(said(lambda: writer.get_extra_info("nothing", default=6)))
        out.append(said(writer.is_closing))
        out.append(repr(writer))
        out.append(await result(writer.drain()))
        out.append(said(writer.close))
        out.append(said(writer.is_closing))
        out.append(plain(writer._complete_fut))
        out.append(transport.calls)
        return out

    alike(program, factory)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@each_loop
def test_wrong_constructions_are_refused(factory):
    async def program(kinds):
        loop = asyncio.get_running_loop()
        out = [said(lambda: kinds.Writer(Remembers(), None, object(), loop)).partition("(")[0]]
        out.append(said(lambda: kinds.Writer(Remembers(), None, None, None)))
        for arguments in [(), (1, 2, 3), (1, 2, 3, 4, 5)]:
            out.append(said(lambda arguments=arguments: kinds.Writer(*arguments)).partition("(")[0])
        return out

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alike(program, factory)


@each_loop
def test_several_drains_wait_until_the_transport_goes_on(factory):
    async def program(kinds):
        writer, protocol, _, transport = a_writer(kinds)
        out = [said(protocol.resume_writing), said(protocol.pause_writing), said(protocol.pause_writing)]
        drains = [asyncio.ensure_future(writer.drain()) for _ in range(3)]
        drains.append(asyncio.ensure_future(protocol._drain_helper()))
        await turns()
        out.append(([d.done() for d in drains], len(protocol._drain_waiters), protocol._paused))
        drains[1].cancel()
        await turns()
        out.append(([d.done() for d in drains], len(protocol._drain_waiters)))
        out.append(said(protocol.resume_writing))
        await turns()
        out += [await result(d) for d in drains]
        out.append((len(protocol._drain_waiters), protocol._paused))
        transport.close()
        return out

    alike(program, factory)


@each_loop
@pytest.mark.parametrize("exc", [None, ConnectionAbortedError("gone")], ids=["closed", "broken"])
def test_the_connection_ends(factory, exc):
    async def program(kinds):
        writer, protocol, reader, transport = a_writer(kinds)
        out = [plain(protocol._closed), said(lambda: protocol._get_close_waiter(writer) is protocol._closed)]
        protocol.pause_writing()
        waiting = [asyncio.ensure_future(o) for o in (writer.drain(), reader.read(5), writer.wait_closed())]
        await turns()
        protocol.connection_lost(exc)
        out += [await result(o) for o in waiting]
        out.append((reader.at_eof(), repr(reader.exception()), protocol._connection_lost, protocol._transport))
        for _ in range(2):
            out.append(await result(writer.wait_closed()))
            out.append(await result(writer.drain()))
            out.append(await result(protocol._drain_helper()))
        out.append(said(lambda: protocol.connection_lost(None)))
        transport.close()
        return out

    alike(program, factory)


@each_loop
def test_a_drain_on_a_closing_transport_lets_the_loop_turn_once(factory):
    async def program(kinds):
        writer, protocol, _, transport = a_writer(kinds)
        order = []
        asyncio.get_running_loop().call_soon(order.append, "a turn")
        await writer.drain()
        order.append("open")
        await turns(1)
        transport.closing = True
        asyncio.get_running_loop().call_soon(order.append, "another turn")
        await writer.drain()
        order.append("closing")
        asyncio.get_running_loop().call_soon(protocol.connection_lost, None)
        order.append(await result(writer.drain()))
        return order

    alike(program, factory)


@each_loop
def test_a_server_hands_its_connection_over(factory):
    async def program(kinds):
        loop, out = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: out.append((context["message"], repr(context.get("exception")))))

        def at_once(reader, writer):
            out.append(("at once", type(reader) is kinds.Reader, type(writer) is kinds.Writer))

        async def later(reader, writer):
            out.append(("later", await reader.readline()))

        async def failing(reader, writer):
            raise ValueError("no")

        for handler in (at_once, later, failing):
            reader = kinds.Reader(loop=loop)
            protocol = kinds.Protocol(reader, handler, loop)
            reference = weakref.ref(reader)
            del reader
            gc.collect()
            out.append((reference() is not None, protocol._strong_reader is not None))
            transport = Remembers()
            protocol.connection_made(transport)
            out.append((protocol._strong_reader, protocol._task is not None, protocol._over_ssl))
            protocol.data_received(b"a line\n")
            await turns(5)
            out.append([call for call in transport.calls if call != "close" or handler is failing])
            transport.closing = True
            protocol.connection_lost(None)
        gc.collect()
        return out

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        if sys.version_info >= (3, 11):  # before, asyncio leaves the exception to the task
            alike(program, factory)
        else:
            run(program(NATIVE), factory)


def test_a_handler_that_is_cancelled_closes_its_connection():
    async def main():
        async def handler(reader, writer):
            await reader.readline()

        reader = NATIVE.Reader()
        protocol, transport = NATIVE.Protocol(reader, handler), Remembers()
        protocol.connection_made(transport)
        await turns()
        protocol._task.cancel()
        await turns()
        assert transport.calls == ["close"]

    run(main())


@each_loop
def test_the_end_of_input_over_tls_closes(factory):
    async def program(kinds):
        out = []
        for extra in ({}, {"sslcontext": object()}):
            _, protocol, reader, transport = a_writer(kinds, **extra)
            out.append((protocol._over_ssl, said(protocol.eof_received), reader.at_eof()))
            transport.closing = True
        return out

    alike(program, factory)


@each_loop
def test_data_for_a_reader_that_is_gone_is_let_go(factory):
    async def program(kinds):
        reader = kinds.Reader()
        protocol = kinds.Protocol(reader)
        del reader
        gc.collect()
        out = [protocol._stream_reader, said(lambda: protocol.data_received(b"x")), said(protocol.eof_received)]
        return [*out, said(lambda: protocol.connection_lost(None)), said(lambda: kinds.Protocol(None)._stream_reader)]

    alike(program, factory)


@each_loop
def test_a_rejected_connection_is_aborted(factory):
    async def program(kinds):
        loop, out = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: out.append(context["message"]))
        protocol, transport = kinds.Protocol(None), Remembers()
        protocol._reject_connection = True
        protocol.connection_made(transport)
        return [*out, transport.calls, protocol._transport]

    alike(program, factory)


@each_loop
def test_debug_mode_logs_pauses(factory):
    async def program(kinds):
        asyncio.get_running_loop().set_debug(True)
        protocol = kinds.Protocol(None)
        level = logging.getLogger("asyncio").level
        with logged() as lines:
            logging.getLogger("asyncio").setLevel(logging.DEBUG)
            try:
                protocol.pause_writing()
                protocol.resume_writing()
            finally:
                logging.getLogger("asyncio").setLevel(level)
        return [line.rpartition(">")[2] for line in lines]

    assert alike(program, factory) == [" pauses writing", " resumes writing"]


needs_warnings = pytest.mark.skipif(not hasattr(asyncio.StreamWriter, "__del__"), reason="this asyncio says nothing")


@needs_warnings
def test_a_writer_that_is_dropped_says_so_and_closes():
    async def main():
        writer, _, _, transport = a_writer(NATIVE)
        shown = repr(writer)
        made = [writer]
        del writer
        with pytest.warns(ResourceWarning) as caught:
            forget(made)
        assert [str(w.message) for w in caught] == [f"unclosed {shown}"]
        assert transport.calls == ["close"]
        writer, _, _, transport = a_writer(NATIVE)
        writer.close()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del writer
            gc.collect()

    run(main())


@needs_warnings
def test_a_writer_that_outlives_its_loop_says_so():
    async def make():
        return a_writer(NATIVE)

    loop = new_event_loop()
    made = list(loop.run_until_complete(make()))
    loop.close()
    with pytest.warns(ResourceWarning, match="loop is closed"):
        forget(made)


def test_its_coroutines_are_coroutines():
    async def main():
        writer, protocol, _, transport = a_writer(NATIVE)
        for function in (writer.drain, writer.wait_closed, protocol._drain_helper):
            assert inspect.iscoroutinefunction(function)
            coroutine = function()
            assert asyncio.iscoroutine(coroutine)
            coroutine.close()
        if sys.version_info >= (3, 11):
            assert inspect.iscoroutinefunction(writer.start_tls)
            assert inspect.signature(writer.start_tls).parameters.keys() == (
                inspect.signature(asyncio.StreamWriter.start_tls).parameters.keys() - {"self"}
            )
        assert await asyncio.create_task(writer.drain()) is None
        transport.close()

    run(main())


@each_loop
def test_derived_protocols_and_any_protocol_at_all(factory):
    async def program(kinds):
        loop, seen = asyncio.get_running_loop(), []

        class Derived(kinds.Protocol):
            def __init__(self, reader):
                super().__init__(reader, loop=loop)
                self.extra = 1

            def connection_made(self, transport):
                seen.append("made")
                super().connection_made(transport)

            async def _drain_helper(self):
                seen.append("drain")
                await super()._drain_helper()

            def data_received(self, data):
                seen.append(data)
                super().data_received(data)

        reader, transport = kinds.Reader(), Remembers()
        protocol = Derived(reader)
        protocol.connection_made(transport)
        writer = kinds.Writer(transport, protocol, reader, loop)
        protocol.data_received(b"abc")
        seen.append(await reader.read(5))
        await writer.drain()
        writer._protocol = mixin = asyncio.streams.FlowControlMixin(loop)
        await writer.drain()
        mixin.pause_writing()
        waiting = asyncio.ensure_future(writer.drain())
        await turns()
        seen.append(waiting.done())
        mixin.resume_writing()
        await turns()
        seen.append(waiting.done())
        seen.append(await result(writer.wait_closed()))
        transport.close()
        return [*seen, vars(protocol)["extra"]]

    alike(program, factory)


def test_a_dropped_protocol_takes_its_exception_with_it():
    async def main():
        protocol = NATIVE.Protocol(None)
        protocol.connection_lost(OSError("nobody asked"))
        with logged() as lines:
            del protocol
            gc.collect()
        assert lines == []

    run(main())
