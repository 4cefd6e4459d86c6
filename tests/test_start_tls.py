"""`loop.start_tls`, on both sides, and TLS within TLS."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
from sockets import Loop, both
from tls_parts import (
    Log,
    client_context,
    dial,
    server_context,
    serving,
    since_3_11,
)


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
            transport, log = await dial(server.sockets[0].getsockname(), ssl=None)
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
            transport, log = await dial(server.sockets[0].getsockname(), ssl=None)
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
            transport, log = await dial(server.sockets[0].getsockname(), ssl=None)
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
            transport, log = await dial(address)
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
