"""Nothing of TLS leaks: not a connection, not a context, not a byte of what went through."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import ssl
import warnings
import weakref
from typing import Any

import pytest
from fenshen.loop import new_event_loop
from on_loops import turns
from sockets import OURS, Loop
from tls_parts import OUR_PROTOCOL, Log, client_context, connect, echo, server_context, shuttle, take
from twins import resident

SOAK = bool(os.environ.get("FENSHEN_SOAK"))


def protocols() -> int:
    return sum(type(o) is OUR_PROTOCOL for o in gc.get_objects())


async def exchange(address: Any, context: ssl.SSLContext, end: str) -> None:
    loop = asyncio.get_running_loop()
    transport, log = await loop.create_connection(Log, *address, ssl=context, server_hostname="localhost")
    transport.write(b"x" * 40_000)
    await log.received(40_000)
    getattr(transport, end)()
    await log.lost


def test_connections_that_come_and_go() -> None:
    async def main(loop: Loop) -> None:
        context = client_context()
        server = await loop.create_server(lambda: Log(echo), "127.0.0.1", 0, ssl=server_context())
        async with server:
            address = server.sockets[0].getsockname()

            async def rounds(count: int) -> None:
                for i in range(count):
                    await exchange(address, context, ("close", "abort")[i % 2])
                    with contextlib.suppress(ssl.SSLError):
                        await loop.create_connection(Log, *address, ssl=context, server_hostname="wrong")
                await asyncio.sleep(0.05)
                gc.collect()

            await rounds(150)
            before, alive = resident(), protocols()
            await rounds(3000 if SOAK else 200)
            assert protocols() <= alive + 4
            assert resident() - before < 3000, "KiB"

    OURS(main, 600)


def test_a_connection_that_lives_long() -> None:
    async def main() -> None:
        server, client = connect(Log(), Log())
        shuttle(client, server)
        data = os.urandom(50_000)

        def rounds(count: int) -> None:
            for i in range(count):
                client.transport.write(data[: i % 50_000 + 1])
                client.transport.writelines([data[:10], data[:1000]])
                server.transport.write(bytearray(data[:5000]))
                shuttle(client, server)
                assert server.app.data
                server.app.data.clear()
                client.app.data.clear()

        rounds(300)
        gc.collect()
        before = resident()
        rounds(100_000 if SOAK else 3000)
        gc.collect()
        assert resident() - before < 2000, "KiB"

    with contextlib.closing(new_event_loop()) as loop:
        loop.run_until_complete(main())


@pytest.mark.parametrize("end", ["close", "abort", "eof", "spoilt"])
def test_what_is_over_goes_without_the_collector(end: str) -> None:
    """Once the connection is lost, the last reference to it is the application's own."""

    async def main() -> None:
        server, client = connect(Log(), Log())
        shuttle(client, server)
        client.transport.write(b"x" * 100)
        match end:
            case "eof":
                client.protocol.eof_received()
                server.protocol.eof_received()
            case "spoilt":
                spoilt = bytearray(take(client.wire))
                spoilt[-1] ^= 1
                server.wire.feed(bytes(spoilt))
                client.transport.abort()
            case _:
                getattr(client.transport, end)()
                shuttle(client, server)
                getattr(server.transport, end)()
        for _ in range(4):
            shuttle(client, server)
            await turns()
        references = [weakref.ref(o) for each in (client, server) for o in (each.protocol, each.transport)]
        assert all(each.app.events[-1].startswith("lost") for each in (client, server))
        for each in (client, server):
            each.wire._protocol = each.app.transport = None
        del client, server, each
        assert [r() for r in references] == [None] * 4

    gc.collect()
    gc.disable()
    try:
        with contextlib.closing(new_event_loop()) as loop:
            loop.run_until_complete(main())
    finally:
        gc.enable()


@pytest.mark.parametrize("stage", ["new", "handshake", "open", "paused", "closing"])
def test_cycles_are_collected(stage: str) -> None:
    """A connection that nobody ended, kept by its own application."""

    async def main() -> list[Any]:
        server, client = connect(Log(), Log())
        references = []
        for each in (server, client):
            each.app.transport = each.transport
            each.app.itself = each
            references += [weakref.ref(o) for o in (each.protocol, each.transport, each.app)]
        if stage == "new":
            context = client_context()
            app = Log()
            session = OUR_PROTOCOL(asyncio.get_running_loop(), app, context, None, False, "localhost")
            app.transport = session._app_transport
            references += [weakref.ref(o) for o in (session, app, context)]
        if stage in ("open", "paused", "closing"):
            shuttle(client, server)
        client.transport.write(b"waits")
        if stage == "paused":
            server.transport.pause_reading()
            shuttle(client, server)
        if stage == "closing":
            client.transport.close()
        return references

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with contextlib.closing(new_event_loop()) as loop:
            references = loop.run_until_complete(main())
        del loop
        gc.collect()
        gc.collect()
        assert [r() for r in references] == [None] * len(references)


def test_memory_of_an_idle_connection() -> None:
    """No buffer waits for what does not come: what a connection keeps is little more than OpenSSL's own state."""

    async def main(loop: Loop) -> None:
        ends = [connect(Log(), Log()) for _ in range(10)]
        before = resident()
        for_server, for_client = server_context(), client_context()
        made = 300
        for _ in range(made):
            server = OUR_PROTOCOL(loop, Log(), for_server, None, True)
            client = OUR_PROTOCOL(loop, Log(), for_client, None, False, "localhost")
            ends.append((server, client))
        each = (resident() - before) / (2 * made)
        assert each < 100, f"{each} KiB"
        for pair in ends[10:]:
            for session in pair:
                session._app_transport._force_close(None)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        OURS(main, 60)
        gc.collect()
