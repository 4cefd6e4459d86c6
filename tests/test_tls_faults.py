"""TLS when something goes wrong: at the peer, on the way, or in the application."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import threading
from typing import Any

import pytest
from sockets import Loop, both
from tls_parts import (
    Log,
    Reports,
    client_context,
    dial,
    echo,
    in_thread,
    server_context,
    serving,
    since_3_11,
)


@both
@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_bad_certificate(run: Any, wrong: str) -> None:
    async def main(loop: Loop) -> None:
        reports = Reports(loop)
        async with serving(lambda: Log(echo)) as address:
            mine = ssl.create_default_context() if wrong == "authority" else client_context()
            with pytest.raises(ssl.SSLCertVerificationError):
                await dial(address, ssl=mine, server_hostname="other" if wrong == "name" else "localhost")
            transport, log = await dial(address)  # the server lives
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
                transport, log = await dial(address, ssl=None)
                transport.write(text)
                await log.lost
            assert [log.events for log in logs] == [[]] * 3
            transport, log = await dial(address)
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
                await dial(address, ssl_handshake_timeout=0.1)
        finally:
            done.set()
            thread.join()

    run(main)


@both
def test_a_peer_that_ends_in_the_handshake(run: Any) -> None:
    async def main(loop: Loop) -> None:
        thread, address = in_thread(lambda connection: connection.recv(10))
        with pytest.raises(ConnectionResetError):
            await dial(address)
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
            transport, log = await dial(address, ssl_shutdown_timeout=0.1)
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
                await dial(address, **{limit: value})

    run(main)


@both
def test_a_peer_that_closes_properly(run: Any) -> None:
    def peer(connection: socket.socket) -> None:
        with server_context().wrap_socket(connection, server_side=True) as wrapped:
            wrapped.sendall(b"last words")
            wrapped.unwrap()

    async def main(loop: Loop) -> None:
        thread, address = in_thread(peer)
        _, log = await dial(address)
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
        transport, log = await dial(address)
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
            transport, log = await dial(address)
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
def test_the_log_in_debug_mode(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: Loop) -> None:
        async with serving(Log) as address:
            transport, log = await dial(address)
            transport.close()
            await log.lost
            with pytest.raises(ssl.SSLCertVerificationError):
                await dial(address, server_hostname="wrong")

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
            transport, log = await dial(address)
            transport.abort()
            await log.lost
            caplog.clear()
            for _ in range(6):
                transport.write(b"x")

    run(main)
    warned = [r.getMessage() for r in caplog.records if (r.name, r.levelname) == ("asyncio", "WARNING")]
    assert warned == ["SSL connection is closed"] * 2
