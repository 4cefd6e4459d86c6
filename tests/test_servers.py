"""Servers and their connections: on our loop as on asyncio's, and what is ours alone."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import weakref
from typing import Any

import pytest
from noting import Noting
from sockets import Loop, both, ours, turns


@both
def test_what_it_says_of_itself(run: Any) -> None:
    async def main(loop: Loop) -> None:
        made = loop.create_future()

        class Server(Noting):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                made.set_result(self)

        server = await loop.create_server(Server, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Noting, *address)
        other = await made
        own = transport.get_extra_info("sockname")
        assert transport.get_extra_info("peername") == address
        assert other.transport.get_extra_info("peername") == own
        assert other.transport.get_extra_info("sockname") == address
        assert transport.get_extra_info("nothing") is None
        assert transport.get_extra_info("nothing", default=5) == 5
        for t in (transport, other.transport):
            sock = t.get_extra_info("socket")
            assert t.get_extra_info("socket") is sock
            assert type(sock).__name__ == "TransportSocket"
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.gettimeout() == 0
            assert f"fd={sock.fileno()}" in repr(t)
            with pytest.raises(RuntimeError, match="is used by transport"):
                loop.add_reader(sock.fileno(), print)
        transport.close()
        await asyncio.gather(protocol.over, other.over)
        # What was not asked for while it was open is known afterwards too.
        assert other.transport.get_extra_info("peername") == own
        assert transport.get_extra_info("socket").fileno() == -1
        assert "closed" in repr(transport)
        server.close()
        await server.wait_closed()

    run(main)


@pytest.mark.parametrize("family", [socket.AF_INET6, socket.AF_UNIX], ids=["ipv6", "unix"])
@both
def test_addresses(run: Any, family: Any, tmp_path: Any) -> None:
    async def main(loop: Loop) -> None:
        with socket.socket(family) as listening:
            listening.bind(str(tmp_path / "s") if family == socket.AF_UNIX else ("::1", 0))
            made = loop.create_future()

            class Server(asyncio.Protocol):
                def connection_made(self, transport: Any) -> None:
                    made.set_result(transport)

            server = await loop.create_server(Server, sock=listening)
            with socket.socket(family) as client:
                client.setblocking(False)
                address = listening.getsockname()
                await loop.sock_connect(client, address)
                transport = await made
                assert transport.get_extra_info("sockname") == address
                assert transport.get_extra_info("peername") == client.getsockname()
                transport.abort()
            server.close()
            await server.wait_closed()

    run(main)


@ours
def test_a_server_alone_keeps_no_connection(run: Any) -> None:
    """Neither the loop nor a cycle through the protocol holds a connection that is over."""

    async def main(loop: Loop) -> None:
        refs = []

        class Cyclic(Noting):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                refs.append(weakref.ref(transport))
                transport.owner = self

        server = await loop.create_server(Cyclic, "127.0.0.1", 0)
        for _ in range(20):
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            await writer.wait_closed()
        del _, writer
        server.close()
        await server.wait_closed()
        while len(refs) != 20:
            await turns()
        for _ in range(20):
            await turns()
            gc.collect()
        assert [ref() for ref in refs] == [None] * 20

    run(main)


@ours
def test_hundreds_at_once(run: Any) -> None:
    async def main(loop: Loop) -> None:
        class Echo(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def data_received(self, data: bytes) -> None:
                self.transport.write(data)

        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=500)

        async def client(i: int) -> None:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for size in (1, 1000, 100_000):
                data = bytes([i % 256]) * size
                writer.write(data)
                assert await reader.readexactly(size) == data
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(*(client(i) for i in range(300)))
        server.close()
        await server.wait_closed()

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="close_clients() came with 3.13")
@both
def test_a_server_closes_its_clients(run: Any) -> None:
    async def main(loop: Loop) -> None:
        for how in ("close_clients", "abort_clients"):
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            await asyncio.sleep(0.01)
            server.close()
            getattr(server, how)()
            await server.wait_closed()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(main)
