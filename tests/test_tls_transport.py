"""The transport of a TLS connection: writing, flow control and closing."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import warnings
from typing import Any

import pytest
from sockets import Loop, both, ours
from tls_parts import (
    Log,
    client_context,
    dial,
    echo,
    serving,
    since_3_11,
)


@both
@since_3_11
def test_limits(run: Any) -> None:
    async def main(loop: Loop) -> None:
        async with serving(Log) as address:
            transport, _ = await dial(address)
            for get, set_, size, high in (
                (transport.get_write_buffer_limits, transport.set_write_buffer_limits, "get_write_buffer_size", 512),
                (transport.get_read_buffer_limits, transport.set_read_buffer_limits, "get_read_buffer_size", 256),
            ):
                assert get() == (high * 256, high * 1024)
                set_(high=100)
                assert get() == (25, 100)
                set_(low=100)
                assert get() == (100, 400)
                set_(50, 20)
                assert get() == (20, 50)
                set_(high=1e9, low=1)
                assert get() == (1, 1e9)
                for wrong in ((1, 2), (-1, -2), (5, -1)):
                    with pytest.raises(ValueError, match=r"high \(-?\d\) must be >= low \(-?\d\) must be >= 0"):
                        set_(*wrong)
                with pytest.raises(TypeError):
                    set_("high")
                set_()
                assert get() == (high * 256, high * 1024)
                assert getattr(transport, size)() == 0
            transport.abort()

    run(main)


@both
def test_what_can_be_written(run: Any) -> None:
    async def main(loop: Loop) -> None:
        logs: list[Log] = []

        def make() -> Log:
            logs.append(Log())
            return logs[-1]

        async with serving(make) as address:
            transport, _ = await dial(address)
            for wrong in ("text", None, 5, [b"x"]):
                with pytest.raises(
                    TypeError, match=f"data: expecting a bytes-like instance, got {type(wrong).__name__}"
                ):
                    transport.write(wrong)
            changing = bytearray(b"a" * 10)
            transport.write(changing)
            changing[:] = b"b" * 10
            transport.write(memoryview(b"cc"))
            transport.write(b"")
            transport.write(bytearray())
            transport.writelines([b"d", bytearray(b"e"), memoryview(b"f"), b""])
            transport.writelines(iter([b"g", b"h"]))
            transport.writelines([])
            await asyncio.sleep(0)
            while not logs:
                await asyncio.sleep(0.001)
            await logs[0].received(17)
            assert logs[0].data == b"a" * 10 + b"cc" + b"defgh"
            transport.close()
            transport.write(b"ignored")
            await logs[0].lost
            assert len(logs[0].data) == 17 or sys.version_info < (3, 11)  # where what comes after close() is sent

    run(main)


@both
@since_3_11
def test_pausing_and_resuming_writing(run: Any) -> None:
    async def main(loop: Loop) -> None:
        go = asyncio.Event()
        logs: list[Log] = []

        def make() -> Log:
            logs.append(Log())
            loop.call_soon(pause)
            return logs[-1]

        def pause() -> None:
            if logs[0].transport is None:
                loop.call_soon(pause)
            else:
                logs[0].transport.pause_reading()
                assert logs[0].transport.is_reading() is False
                go.set()

        async with serving(make) as address:
            transport, log = await dial(address)
            await go.wait()
            total = 0
            while "pause" not in log.events:
                transport.write(bytes(100_000))
                total += 100_000
                assert total < 100_000_000
                await asyncio.sleep(0)
            assert transport.get_write_buffer_size() >= 512 * 1024
            assert transport._protocol_paused is True
            logs[0].transport.resume_reading()
            await logs[0].received(total)
            while "resume" not in log.events:
                await asyncio.sleep(0.001)
            assert transport._protocol_paused is False
            assert log.events == ["made", "pause", "resume"]
            assert len(logs[0].data) == total
            transport.abort()
            await log.lost

    run(main)


@both
def test_nothing_comes_while_reading_is_paused(run: Any) -> None:
    async def main(loop: Loop) -> None:
        async with serving(lambda: Log(echo)) as address:
            transport, log = await dial(address)
            for _ in range(20):
                before = len(log.data)
                transport.pause_reading()
                transport.pause_reading()
                transport.write(b"x" * 1000)
                await asyncio.sleep(0.002)
                assert len(log.data) == before
                transport.resume_reading()
                transport.resume_reading()
                await log.received(before + 1000)
            transport.close()
            await log.lost

    run(main)


@both
def test_a_new_protocol(run: Any) -> None:
    async def main(loop: Loop) -> None:
        async with serving(lambda: Log(echo)) as address:
            transport, log = await dial(address)
            transport.write(b"first")
            await log.received(5)
            other = Log()
            transport.set_protocol(other)
            assert transport.get_protocol() is other
            transport.write(b"second")
            await other.received(6)
            assert (log.data, other.data) == (b"first", b"second")
            transport.close()
            await other.lost
            assert not log.lost.done()

    run(main)


@both
def test_an_answer_then_the_end(run: Any) -> None:
    """Whatever is written before close() or abort() in the same call back is sent."""
    for end in ("close", "abort", "_force_close"):

        def answer(log: Any, data: bytes, end: str = end) -> None:
            for part in (b"one", b"two", bytearray(b"three"), b"x" * 20000):
                log.transport.write(part)
            getattr(log.transport, end)(*[None] * (end == "_force_close"))

        async def main(loop: Loop, answer: Any = answer) -> None:
            async with serving(lambda: Log(answer)) as address:
                transport, log = await dial(address)
                transport.write(b"?")
                await log.lost
                assert log.data == b"onetwothree" + b"x" * 20000
                transport.abort()

        if end != "_force_close" or sys.version_info >= (3, 13):
            run(main)


@both
def test_the_buffer_is_what_waits(run: Any) -> None:
    sizes: list[int] = []

    def answer(log: Any, data: bytes) -> None:
        for _ in range(3):
            log.transport.write(b"part")
            sizes.append(log.transport.get_write_buffer_size())

    async def main(loop: Loop) -> None:
        async with serving(lambda: Log(answer)) as address:
            transport, log = await dial(address)
            transport.write(b"?")
            await log.received(12)
            transport.abort()
            await log.lost

    run(main)
    assert sizes == [0, 0, 0]


@ours
def test_parts_of_an_answer_leave_in_one_record(run: Any) -> None:
    """It is cheaper, and nobody can tell but by counting bytes."""

    def answer(log: Any, data: bytes) -> None:
        for part in (b"HTTP/1.1 200 OK\r\n", b"\r\n", b"body" * 10):
            log.transport.write(part)

    async def main(loop: Loop) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        async with serving(lambda: Log(answer)) as address:
            reader, writer = await asyncio.open_connection(*address)
            while True:
                try:
                    session.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
            session.write(b"?")
            writer.write(outgoing.read())
            got: list[bytes] = []
            while not got:
                incoming.write(await reader.read(65536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    got.append(session.read(65536))
            assert got == [b"HTTP/1.1 200 OK\r\n\r\n" + b"body" * 10]
            writer.close()

    run(main)


@both
@since_3_11
def test_a_transport_that_nobody_closed(run: Any) -> None:
    async def main(loop: Loop) -> None:
        async with serving(Log) as address:
            transport, log = await dial(address)
            lower = transport._ssl_protocol._transport
            log.transport = None
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                transport.__del__()
                transport.__del__()
            assert [str(w.message) for w in caught] == ["unclosed transport <asyncio._SSLProtocolTransport object>"]
            assert caught[0].category is ResourceWarning
            lower.abort()
            await log.lost

    run(main)
