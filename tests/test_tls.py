"""TLS connections of a loop: what asyncio's do, ours must do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import fenshen
import pytest
from sockets import Loop, both, ours
from tls_parts import OUR_PROTOCOL, Log, Reports, client_context, contexts, echo, folder, server_context

since_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason="from Python 3.11 on")


@contextlib.asynccontextmanager
async def serving(
    make: Callable[[], Any], context: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[tuple[str, int]]:
    """A server on a free port; its address."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=context or server_context(), **options)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


async def connect(address: tuple[str, int], make: Callable[[], Any] = Log, **options: Any) -> tuple[Any, Any]:
    options.setdefault("ssl", client_context())
    options.setdefault("server_hostname", "localhost" if options["ssl"] else None)
    return await asyncio.get_running_loop().create_connection(make, *address, **options)


def in_thread(peer: Callable[[socket.socket], None]) -> tuple[threading.Thread, tuple[str, int]]:
    """A peer that serves one connection with blocking calls."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(30)
                peer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread, server.getsockname()


@both
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_an_echo(run: Any, version: Any) -> None:
    async def main(loop: Loop) -> None:
        for_server, for_client = contexts(version)
        async with serving(lambda: Log(echo), for_server) as address:
            transport, log = await connect(address, ssl=for_client)
            total = bytearray()
            for size in (1, 100, 16384, 16385, 1_000_000):
                data = bytes([size % 251]) * size
                transport.write(data)
                total += data
                await log.received(len(total))
            assert log.data == total
            transport.close()
            assert await log.lost is None
            assert log.events[0] == "made"
            assert log.events[-1] == "lost NoneType"

    run(main)


@both
def test_what_a_transport_says_of_itself(run: Any) -> None:
    async def main(loop: Loop) -> None:
        context = client_context()
        async with serving(Log) as address:
            transport, log = await connect(address, ssl=context)
            assert isinstance(transport, asyncio.Transport)
            info = transport.get_extra_info
            assert info("sslcontext") is context
            assert isinstance(info("ssl_object"), ssl.SSLObject)
            assert info("peercert")["subject"] == ((("commonName", "localhost"),),)
            assert info("cipher") == info("ssl_object").cipher()
            assert info("compression") is None
            assert info("peername") == address
            assert info("sockname") == info("socket").getsockname()
            assert info("nothing") is None
            assert info("nothing", 5) == info("nothing", default=5) == 5
            assert transport.get_protocol() is log
            assert transport.can_write_eof() is False
            with pytest.raises(NotImplementedError):
                transport.write_eof()
            assert transport.is_closing() is False
            assert transport._start_tls_compatible is (sys.version_info >= (3, 11)) or run is None
            transport.close()
            assert transport.is_closing() is True
            await log.lost
            assert info("peername") is None
            assert info("sslcontext") is context
            transport.close()
            transport.close()
            transport.abort()

    if sys.version_info < (3, 11):
        pytest.skip("other attributes before 3.11")
    run(main)


@both
@since_3_11
def test_limits(run: Any) -> None:
    async def main(loop: Loop) -> None:
        async with serving(Log) as address:
            transport, _ = await connect(address)
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
            transport, _ = await connect(address)
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
def test_alpn_and_sni(run: Any) -> None:
    async def main(loop: Loop) -> None:
        names: list[str | None] = []
        context, other = server_context(), server_context("other")
        for each in (context, other):
            each.set_alpn_protocols(["h2", "http/1.1"])

        def choose(sslobj: Any, name: str | None, _context: Any) -> None:
            assert isinstance(sslobj, ssl.SSLObject)
            names.append(name)
            if name == "other":
                sslobj.context = other

        context.sni_callback = choose
        async with serving(Log, context) as address:
            for name in ("localhost", "other"):
                mine = client_context()
                mine.set_alpn_protocols(["http/1.1"])
                transport, _ = await connect(address, ssl=mine, server_hostname=name)
                assert transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
                assert transport.get_extra_info("peercert")["subject"] == ((("commonName", name),),)
                transport.abort()
        assert names == ["localhost", "other"]

    run(main)


@both
def test_client_certificates(run: Any) -> None:
    async def main(loop: Loop) -> None:
        context = server_context()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder() / "ca.pem")
        logs: list[Log] = []

        def make() -> Log:
            logs.append(Log(echo))
            return logs[-1]

        async with serving(make, context) as address:
            mine = client_context()
            mine.load_cert_chain(folder() / "client.pem")
            transport, log = await connect(address, ssl=mine)
            transport.write(b"known")
            await log.received(5)
            assert logs[0].transport.get_extra_info("peercert")["subject"] == ((("commonName", "client"),),)
            transport.close()
            await log.lost
            # Without one: TLS 1.3 tells the client only after its own handshake.
            with contextlib.suppress(OSError):
                transport, log = await connect(address)
                await log.lost
            assert [log.events for log in logs if log.transport is None] == [[]] * (len(logs) - 1)

    run(main)


@both
@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_bad_certificate(run: Any, wrong: str) -> None:
    async def main(loop: Loop) -> None:
        reports = Reports(loop)
        async with serving(lambda: Log(echo)) as address:
            mine = ssl.create_default_context() if wrong == "authority" else client_context()
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(address, ssl=mine, server_hostname="other" if wrong == "name" else "localhost")
            transport, log = await connect(address)  # the server lives
            transport.write(b"x")
            await log.received(1)
            transport.abort()
            await log.lost
        assert reports.lines == []

    run(main)


@both
def test_plain_text_to_a_tls_port(run: Any) -> None:
    async def main(loop: Loop) -> None:
        reports = Reports(loop)
        logs: list[Log] = []

        def make() -> Log:
            logs.append(Log(echo))
            return logs[-1]

        async with serving(make) as address:
            for text in (
                b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"\0" * 100,
                b"\x16\x03\x01\xff\xff" + b"x" * 99,
            ):
                transport, log = await connect(address, ssl=None)
                transport.write(text)
                await log.lost
            assert [log.events for log in logs] == [[]] * 3
            transport, log = await connect(address)
            transport.write(b"x")
            await log.received(1)
            transport.abort()
            await log.lost
        assert reports.lines == []

    run(main)


@both
def test_a_peer_that_is_silent_in_the_handshake(run: Any) -> None:
    done = threading.Event()

    async def main(loop: Loop) -> None:
        thread, address = in_thread(lambda _: done.wait(30))
        try:
            words = r"SSL handshake is taking longer than 0\.1 seconds: aborting the connection"
            with pytest.raises(ConnectionAbortedError, match=words):
                await connect(address, ssl_handshake_timeout=0.1)
        finally:
            done.set()
            thread.join()

    run(main)


@both
def test_a_peer_that_ends_in_the_handshake(run: Any) -> None:
    async def main(loop: Loop) -> None:
        thread, address = in_thread(lambda connection: connection.recv(10))
        with pytest.raises(ConnectionResetError):
            await connect(address)
        thread.join()

    run(main)


@both
@since_3_11
def test_a_peer_that_never_closes_its_side(run: Any) -> None:
    done = threading.Event()

    def peer(connection: socket.socket) -> None:
        with server_context().wrap_socket(connection, server_side=True):
            done.wait(30)

    async def main(loop: Loop) -> None:
        thread, address = in_thread(peer)
        try:
            transport, log = await connect(address, ssl_shutdown_timeout=0.1)
            transport.close()
            assert isinstance(await log.lost, TimeoutError)
            assert str(await log.lost) == "SSL shutdown timed out"
        finally:
            done.set()
            thread.join()

    run(main)


@both
@pytest.mark.parametrize("limit", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("value", [0, -1])
@since_3_11
def test_time_limits_are_positive(run: Any, limit: str, value: int) -> None:
    async def main(loop: Loop) -> None:
        async with serving(Log) as address:
            with pytest.raises(ValueError, match=f"{limit} should be a positive number, got {value}"):
                await connect(address, **{limit: value})

    run(main)


@both
def test_a_peer_that_closes_properly(run: Any) -> None:
    def peer(connection: socket.socket) -> None:
        with server_context().wrap_socket(connection, server_side=True) as wrapped:
            wrapped.sendall(b"last words")
            wrapped.unwrap()

    async def main(loop: Loop) -> None:
        thread, address = in_thread(peer)
        _, log = await connect(address)
        assert await log.lost is None
        assert log.data == b"last words"
        assert log.events == ["made", "data", "eof", "lost NoneType"] or sys.version_info < (3, 11)
        thread.join()

    run(main)


@both
@pytest.mark.parametrize("how", ["end", "reset"])
@since_3_11
def test_a_peer_that_vanishes_mid_record(run: Any, how: str) -> None:
    def peer(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = server_context().wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        session.write(b"whole")
        session.write(b"torn" * 100)
        connection.sendall(outgoing.read()[:-10])
        with contextlib.suppress(TimeoutError):
            connection.recv(65536)
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async def main(loop: Loop) -> None:
        thread, address = in_thread(peer)
        transport, log = await connect(address)
        await log.received(5)
        transport.write(b"go")
        lost = await log.lost
        assert log.data == b"whole"
        assert log.events[:2] == ["made", "data"]
        if how == "end":
            assert lost is None
            assert log.events[2:] == ["eof", "lost NoneType"]
        else:
            assert isinstance(lost, ConnectionResetError)
        thread.join()

    run(main)


@both
@pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])
def test_start_tls(run: Any, server_side: bool) -> None:
    async def main(loop: Loop) -> None:
        upgraded: asyncio.Future[Any] = loop.create_future()

        class Server(asyncio.Protocol):
            def __init__(self) -> None:
                self.transport: Any = None

            def connection_made(self, transport: Any) -> None:
                assert self.transport is None
                self.transport = transport

            def data_received(self, data: bytes) -> None:
                if data == b"STARTTLS":
                    self.transport.write(b"go")
                    task = loop.create_task(loop.start_tls(self.transport, self, server_context(), server_side=True))
                    task.add_done_callback(self.upgraded)
                else:
                    self.transport.write(data.upper())

            def upgraded(self, task: Any) -> None:
                self.transport = task.result()
                upgraded.set_result(self.transport)

        server = await loop.create_server(Server, "127.0.0.1", 0)
        async with server:
            transport, log = await connect(server.sockets[0].getsockname(), ssl=None)
            transport.write(b"STARTTLS")
            await log.received(2)
            new = await loop.start_tls(transport, log, client_context(), server_hostname="localhost")
            theirs = await upgraded
            chosen = theirs if server_side else new
            assert chosen is not transport
            assert isinstance(chosen.get_extra_info("ssl_object"), ssl.SSLObject)
            new.write(b"secret")
            await log.received(8)
            assert log.data == b"goSECRET"
            assert log.events.count("made") == 1
            new.close()
            assert await log.lost is None

    run(main)


@both
def test_start_tls_refuses(run: Any) -> None:
    async def main(loop: Any) -> None:
        server = await loop.create_server(Log, "127.0.0.1", 0)
        async with server:
            transport, log = await connect(server.sockets[0].getsockname(), ssl=None)
            with pytest.raises(
                TypeError, match=r"sslcontext is expected to be an instance of ssl\.SSLContext, got None"
            ):
                await loop.start_tls(transport, log, None)
            with pytest.raises(TypeError, match=r"transport .* is not supported by start_tls\(\)"):
                await loop.start_tls(asyncio.Transport(), log, client_context())
            with pytest.raises(ValueError, match="ssl_handshake_timeout should be a positive number, got 0"):
                await loop.start_tls(transport, log, client_context(), ssl_handshake_timeout=0)
            with pytest.raises(ssl.SSLError):
                await loop.start_tls(transport, log, server_context())
            transport.abort()

    run(main)


@both
def test_a_cancelled_start_tls_closes_the_connection(run: Any) -> None:
    async def main(loop: Loop) -> None:
        server = await loop.create_server(Log, "127.0.0.1", 0)
        async with server:
            transport, log = await connect(server.sockets[0].getsockname(), ssl=None)
            task = loop.create_task(loop.start_tls(transport, log, client_context(), server_hostname="localhost"))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert transport.is_closing()

    run(main)


@both
@since_3_11
def test_tls_in_tls(run: Any) -> None:
    async def main(loop: Loop) -> None:
        class Server(Log):
            def data_received(self, data: bytes) -> None:
                if data == b"STARTTLS":
                    self.transport.write(b"go")
                    context = server_context("other")
                    task = loop.create_task(loop.start_tls(self.transport, self, context, server_side=True))
                    task.add_done_callback(self.upgraded)
                else:
                    self.transport.write(data.upper())

            def upgraded(self, task: Any) -> None:
                self.transport = task.result()
                self.transport.write(b"on")

        async with serving(Server) as address:
            transport, log = await connect(address)
            transport.write(b"STARTTLS")
            await log.received(2)
            inner = await loop.start_tls(transport, log, client_context(), server_hostname="other")
            assert inner.get_extra_info("peercert")["subject"] == ((("commonName", "other"),),)
            assert inner.get_extra_info("peername") == address
            await log.received(4)
            data = b"secret" * 50_000
            inner.write(data)
            await log.received(4 + len(data))
            assert log.data == b"goon" + data.upper()
            inner.close()
            assert await log.lost is None

    run(main)


@both
@since_3_11
@pytest.mark.parametrize("how", ["data_received", "eof_received", "connection_made", "get_buffer", "buffer_updated"])
def test_a_protocol_that_raises(run: Any, how: str) -> None:
    """Its connection dies, the loop's handler is told in asyncio's words, the server lives."""
    base: Any = asyncio.BufferedProtocol if "buffer" in how else asyncio.Protocol
    made: list[Any] = []

    def fails(*_: Any) -> None:
        raise ZeroDivisionError(how)

    async def main(loop: Loop) -> None:
        reports = Reports(loop)
        lost: asyncio.Future[Any] = loop.create_future()

        class Server(base):  # type: ignore[misc]
            def __init__(self) -> None:
                made.append(self)

            def get_buffer(self, _: int) -> bytearray:
                return bytearray(100)

            def connection_lost(self, exc: Any) -> None:
                lost.set_result(exc)

        setattr(Server, how, fails)
        async with serving(Server) as address:
            transport, log = await connect(address)
            transport.write(b"x")
            if how == "eof_received":
                transport.close()
            await log.lost
            if how != "connection_made":
                assert type(await lost) is ZeroDivisionError or how == "eof_received"
        messages = {
            "eof_received": "Error calling eof_received()",
            "connection_made": "Fatal error: protocol.buffer_updated() call failed.",
        }
        message = messages.get(how, "Fatal error on SSL protocol")
        if how == "connection_made":  # by which of its methods the transport drives the protocol is its own affair
            assert [line.rpartition(": ")[2] for line in reports.lines] == ["ZeroDivisionError"]
        else:
            assert reports.lines == [f"{message}: ZeroDivisionError"]

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
            transport, log = await connect(address)
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
            transport, log = await connect(address)
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
            transport, log = await connect(address)
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
                transport, log = await connect(address)
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
            transport, log = await connect(address)
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
def test_a_class_of_ones_own(run: Any) -> None:
    """`SSLContext.sslobject_class`: its methods are what is called."""
    calls: list[str] = []

    class Mine(ssl.SSLObject):
        def read(self, len: int = 1024, buffer: Any = None) -> Any:
            calls.append("read")
            return super().read(len, buffer)

        def write(self, data: Any) -> int:
            calls.append("write")
            return super().write(data)

    async def main(loop: Loop) -> None:
        context = client_context()
        context.sslobject_class = Mine
        async with serving(lambda: Log(echo)) as address:
            transport, log = await connect(address, ssl=context)
            assert type(transport.get_extra_info("ssl_object")) is Mine
            data = bytes(range(256)) * 1000
            transport.write(data)
            await log.received(len(data))
            assert log.data == data
            transport.close()
            assert await log.lost is None

    run(main)
    assert {"read", "write"} == set(calls)


@both
def test_methods_replaced_in_the_class(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    plain = ssl.SSLObject.write

    def write(self: Any, data: Any) -> int:
        calls.append(len(data))
        return plain(self, data)

    async def main(loop: Loop) -> None:
        async with serving(lambda: Log(echo)) as address:
            transport, log = await connect(address)
            transport.write(b"hello")
            await log.received(5)
            transport.close()
            await log.lost

    monkeypatch.setattr(ssl.SSLObject, "write", write)
    run(main)
    assert calls == [5, 5]


@both
def test_streams(run: Any) -> None:
    async def main(loop: Loop) -> None:
        async def handle(reader: Any, writer: Any) -> None:
            async for line in reader:
                writer.write(line.upper())
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=server_context())
        async with server:
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address, ssl=client_context(), server_hostname="localhost")
            for i in range(100):
                writer.write(f"line {i} {'x' * (i * 100)}\n".encode())
                await writer.drain()
                assert await reader.readline() == f"LINE {i} {'X' * (i * 100)}\n".encode()
            writer.close()
            await writer.wait_closed()

    run(main)


@both
def test_sending_a_file(run: Any, tmp_path: Any) -> None:
    async def main(loop: Loop) -> None:
        path = tmp_path / "file"
        path.write_bytes(bytes(range(256)) * 4000)
        async with serving(lambda: Log(echo)) as address:
            transport, log = await connect(address)
            with path.open("rb") as file:
                with pytest.raises(RuntimeError, match="fallback is disabled and native sendfile is not supported"):
                    await loop.sendfile(transport, file, fallback=False)
                assert await loop.sendfile(transport, file) == 1_024_000
            await log.received(1_024_000)
            assert log.data == path.read_bytes()
            transport.close()
            await log.lost

    run(main)


@both
@since_3_11
def test_a_transport_that_nobody_closed(run: Any) -> None:
    async def main(loop: Loop) -> None:
        async with serving(Log) as address:
            transport, log = await connect(address)
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


@both
def test_a_context_is_needed(run: Any) -> None:
    async def main(loop: Any) -> None:
        with pytest.raises(ValueError, match="Server side SSL needs a valid SSLContext"):
            loop._make_ssl_transport(socket.socket(), Log(), None, server_side=True)
        gc.collect()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        run(main)


@both
@since_3_11
def test_the_log_in_debug_mode(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: Loop) -> None:
        async with serving(Log) as address:
            transport, log = await connect(address)
            transport.close()
            await log.lost
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(address, server_hostname="wrong")

    with caplog.at_level("DEBUG", "asyncio"):
        run(main, debug=True)
    words = ["starts SSL handshake", "SSL handshake took", "SSL handshake failed on verifying the certificate"]
    said = [record.getMessage() for record in caplog.records]
    for word in words:
        assert any(word in line for line in said), (word, said)


@both
@since_3_11
def test_writing_to_a_lost_connection(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: Loop) -> None:
        async with serving(Log) as address:
            transport, log = await connect(address)
            transport.abort()
            await log.lost
            caplog.clear()
            for _ in range(6):
                transport.write(b"x")

    run(main)
    assert [r.getMessage() for r in caplog.records if r.name == "asyncio"] == ["SSL connection is closed"] * 2


def test_a_loop_of_asyncio_may_use_it() -> None:
    """The protocol serves on any loop and any transport."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serving(lambda: Log(echo)) as address:
            log, waiter = Log(), loop.create_future()
            session = OUR_PROTOCOL(loop, log, client_context(), waiter, False, "localhost")
            await loop.create_connection(lambda: session, *address)
            await waiter
            session._app_transport.write(b"hello")
            await log.received(5)
            session._app_transport.close()
            assert await log.lost is None

    for factory in (asyncio.SelectorEventLoop, fenshen.new_event_loop):
        with contextlib.closing(factory()) as loop:
            loop.run_until_complete(asyncio.wait_for(main(), 30))


def test_a_protocol_that_takes_arguments_like_asyncios() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(TypeError, match="missing required argument"):
            OUR_PROTOCOL(loop, Log(), client_context())
        with pytest.raises(TypeError, match="unexpected keyword argument 'timeout'"):
            OUR_PROTOCOL(loop, Log(), client_context(), None, timeout=5)
        session = OUR_PROTOCOL(loop=loop, app_protocol=Log(), sslcontext=None, waiter=None, server_hostname="x")
        assert session._sslcontext.check_hostname
        session._app_transport.close()
        with pytest.raises(TypeError):
            type(session._app_transport)()

    with contextlib.closing(fenshen.new_event_loop()) as loop, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop.run_until_complete(main())
        gc.collect()
