"""TLS connections of a loop: what asyncio's do, ours must do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import sys
import warnings
from typing import Any

import fenshen
import pytest
from sockets import Loop, both
from tls_parts import (
    OUR_PROTOCOL,
    Log,
    client_context,
    contexts,
    dial,
    echo,
    folder,
    server_context,
    serving,
)


@both
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_an_echo(run: Any, version: Any) -> None:
    async def main(loop: Loop) -> None:
        for_server, for_client = contexts(version)
        async with serving(lambda: Log(echo), for_server) as address:
            transport, log = await dial(address, ssl=for_client)
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
            transport, log = await dial(address, ssl=context)
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
                transport, _ = await dial(address, ssl=mine, server_hostname=name)
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
            transport, log = await dial(address, ssl=mine)
            transport.write(b"known")
            await log.received(5)
            assert logs[0].transport.get_extra_info("peercert")["subject"] == ((("commonName", "client"),),)
            transport.close()
            await log.lost
            # Without one: TLS 1.3 tells the client only after its own handshake.
            with contextlib.suppress(OSError):
                transport, log = await dial(address)
                await log.lost
            assert [log.events for log in logs if log.transport is None] == [[]] * (len(logs) - 1)

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
            transport, log = await dial(address, ssl=context)
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
            transport, log = await dial(address)
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
            transport, log = await dial(address)
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
def test_a_context_is_needed(run: Any) -> None:
    async def main(loop: Any) -> None:
        with pytest.raises(ValueError, match="Server side SSL needs a valid SSLContext"):
            loop._make_ssl_transport(socket.socket(), Log(), None, server_side=True)
        gc.collect()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        run(main)


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
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
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
