"""TLS with the wrong certificate, the wrong peer, or a peer that goes away: the same errors as asyncio's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

import pytest
from scenes import Notes, Noting, both, level, of, open_files, reset, told, turns, until
from tls_scenes import client_context, server_context


async def serve(loop: Any, notes: Notes, protocols: list[Noting], name: str = "localhost", **options: Any) -> Any:
    """A server over TLS that notes; returns it and its address."""

    def factory() -> Noting:
        protocols.append(Noting(notes, f"s{len(protocols)}"))
        return protocols[-1]

    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=server_context(name), **options)
    return server, server.sockets[0].getsockname()


async def end(server: Any) -> None:
    server.close()
    await asyncio.wait_for(server.wait_closed(), 20)


async def tried(notes: Notes, connecting: Any) -> Any:
    """Note how a connection was made; its transport, or None."""
    try:
        transport, _ = await asyncio.wait_for(connecting, 20)
    except (OSError, asyncio.TimeoutError) as e:
        notes.append(f"raised {told(e)}")
        return None
    notes.append("connected")
    return transport


CERTIFICATES = {
    "of another name": ("elsewhere", "elsewhere"),
    "of long ago": ("expired", "expired"),
    "unknown": ("localhost", None),
}


@pytest.mark.parametrize("what", CERTIFICATES)
def test_a_bad_certificate(what: str) -> None:
    served, trusted = CERTIFICATES[what]

    async def scene(loop: Any, notes: Notes) -> None:
        server, address = await serve(loop, [], [], served)  # what it sees of a client that goes depends on the moment
        context = client_context(trusted)
        before = open_files()
        for _ in range(2):
            await tried(
                notes,
                loop.create_connection(lambda: Noting(notes, "c"), *address, ssl=context, server_hostname="localhost"),
            )
            await turns(loop)
        notes.append(f"left {len(open_files() - before)}")
        good = client_context(served)
        good.check_hostname, good.verify_mode = False, ssl.CERT_NONE
        transport = await tried(notes, loop.create_connection(lambda: Noting(notes, "c"), *address, ssl=good))
        transport.abort()
        await turns(loop)
        await end(server)

    notes = both(scene, apart=True)
    assert len(of(notes, "raised SSLCertVerificationError")) == 2
    assert "left 0" in notes
    assert "connected" in notes


@pytest.mark.parametrize(
    "text", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"\0" * 5000, b"\x16\x03\x01\x02\0" + b"x" * 600]
)
def test_something_else_is_sent_to_a_tls_port(text: bytes) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        server, address = await serve(loop, notes, [])
        with socket.create_connection(address) as peer:
            peer.setblocking(False)
            peer.send(text)
            await turns(loop)
            peer.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while await asyncio.wait_for(loop.sock_recv(peer, 1000), 20):
                    pass
            notes.append("the peer's end")
        context = client_context()
        transport = await tried(
            notes,
            loop.create_connection(lambda: Noting(notes, "c"), *address, ssl=context, server_hostname="localhost"),
        )
        transport.close()
        await turns(loop, 30)
        await end(server)

    notes = both(scene, apart=True)
    assert "connected" in notes
    assert not of(notes, "left open")


def test_a_client_speaks_to_a_plain_server() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        for answer in (b"220 hello\r\n", b""):

            class Plain(asyncio.Protocol):
                def connection_made(self, transport: Any, answer: bytes = answer) -> None:
                    transport.write(answer)
                    transport.close()

            server = await loop.create_server(Plain, "127.0.0.1", 0)
            await tried(
                notes,
                loop.create_connection(
                    lambda: Noting(notes),
                    *server.sockets[0].getsockname(),
                    ssl=client_context(),
                    server_hostname="localhost",
                ),
            )
            await turns(loop)
            await end(server)

    notes = both(scene, apart=True)
    assert len(of(notes, "raised ")) == 2


def test_a_handshake_that_never_comes() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        server, address = await serve(loop, notes, [], ssl_handshake_timeout=0.2)
        with socket.create_connection(address) as peer:
            peer.setblocking(False)
            notes.append(f"{await asyncio.wait_for(loop.sock_recv(peer, 10), 20)!r}")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            await tried(
                notes,
                loop.create_connection(
                    lambda: Noting(notes),
                    *silent.getsockname(),
                    ssl=client_context(),
                    server_hostname="localhost",
                    ssl_handshake_timeout=0.2,
                ),
            )
        await turns(loop)
        await end(server)

    notes = both(scene, apart=True)
    assert (
        "raised ConnectionAbortedError(SSL handshake is taking longer than 0.2 seconds: aborting the connection)"
        in notes
    )


class Wire:
    """A client's side of TLS over a plain socket, to cut it anywhere."""

    def __init__(self, loop: Any, address: Any) -> None:
        self.loop = loop
        self.sock = socket.create_connection(address)
        self.sock.setblocking(False)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context().wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    async def shake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
                await self.flush()
                return
            except ssl.SSLWantReadError:
                await self.flush()
                self.incoming.write(await asyncio.wait_for(self.loop.sock_recv(self.sock, 65536), 20))

    async def flush(self) -> None:
        await self.loop.sock_sendall(self.sock, self.outgoing.read())


@pytest.mark.parametrize("how", ["eof", "reset", "close_notify", "garbage"])
@pytest.mark.parametrize("when", ["in the handshake", "between records", "in a record"])
def test_a_peer_that_vanishes(when: str, how: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        protocols: list[Noting] = []
        server, address = await serve(loop, notes, protocols)
        wire = Wire(loop, address)
        if when == "in the handshake":
            with contextlib.suppress(ssl.SSLWantReadError):
                wire.tls.do_handshake()
            await loop.sock_sendall(wire.sock, wire.outgoing.read()[:50])
        else:
            await wire.shake()
            wire.tls.write(b"first")
            await wire.flush()
            await until(lambda: protocols[0].got)
            wire.tls.write(b"second" * 1000)
            record = wire.outgoing.read()
            if when == "in a record":
                await loop.sock_sendall(wire.sock, record[: len(record) // 2])
        await turns(loop)
        if how == "close_notify" and when == "between records":
            with contextlib.suppress(ssl.SSLError):
                wire.tls.unwrap()
            await wire.flush()
        if how == "garbage":
            await loop.sock_sendall(wire.sock, b"\0" * 20_000)
        if how in ("garbage", "close_notify") and when != "in the handshake":
            with contextlib.suppress(asyncio.TimeoutError):  # as half a record is not enough to tell
                await until(lambda: protocols[0].lost, 1)
        reset(wire.sock) if how == "reset" else wire.sock.close()
        await turns(loop, 40)
        notes.append(f"lost {[each.lost for each in protocols]}")
        await end(server)

    notes = both(scene, apart=True)
    if when != "in the handshake":
        assert "s0.data_received bytes 5" in notes
        assert "lost [True]" in notes


def test_closing_a_transport_whose_peer_does_not_answer() -> None:
    """`close()` waits for the peer's close_notify only so long."""

    async def scene(loop: Any, notes: Notes) -> None:
        protocols: list[Noting] = []
        server, address = await serve(loop, notes, protocols, ssl_shutdown_timeout=0.2)
        wire = Wire(loop, address)
        await wire.shake()
        await until(lambda: protocols and protocols[0].transport)
        protocols[0].transport.close()
        await until(lambda: protocols[0].lost)
        wire.sock.close()
        await end(server)

    assert any("s0.connection_lost" in note for note in both(scene, apart=True))


def test_what_a_tls_transport_is_asked() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        protocols: list[Noting] = []
        server, address = await serve(loop, notes, protocols)
        client = Noting(notes, "c")
        transport, _ = await loop.create_connection(
            lambda: client, *address, ssl=client_context(), server_hostname="localhost"
        )
        await until(lambda: protocols and protocols[0].transport)
        for key in (
            "cipher",
            "compression",
            "peercert",
            "ssl_object",
            "sslcontext",
            "socket",
            "peername",
            "sockname",
            "none",
        ):
            value = transport.get_extra_info(key)
            notes.append(f"{key} {type(value).__name__} {value if key == 'cipher' else ''}")
        notes.append(
            f"eof {transport.can_write_eof()} closing {transport.is_closing()} {transport.get_write_buffer_limits()}"
        )
        for bad in ("text", 5, None):
            try:
                transport.write(bad)
            except TypeError as e:
                notes.append(level(str(e)))
        with pytest.raises(NotImplementedError):
            transport.write_eof()
        transport.pause_reading()
        protocols[0].transport.write(b"hello")
        await turns(loop, 30)
        notes.append(f"paused, {transport.is_reading()} got {len(client.got)}")
        transport.resume_reading()
        await until(lambda: client.got)
        transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
        await until(lambda: protocols[0].got == b"abc")
        transport.write(b"z" * 3_000_000)
        transport.close()
        await until(lambda: client.lost and protocols[0].lost)
        notes[:] = [note for note in notes if "data_received" not in note and "_writing" not in note]
        notes.append(f"sent {len(protocols[0].got)} {protocols[0].transport.is_closing()}")
        transport.write(b"x")
        transport.close()
        transport.abort()
        await end(server)

    notes = both(scene, apart=True)
    assert any(note.startswith("cipher tuple") for note in notes)
    assert "sent 3000003 True" in notes


@pytest.mark.parametrize("what", ["close", "abort"])
@pytest.mark.parametrize("where", ["connection_made", "data_received"])
def test_ending_from_within(where: str, what: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        server, address = await serve(loop, [], [])
        protocol = Noting(notes, "c", **{where: lambda p: getattr(p.transport, what)()})
        with contextlib.suppress(ConnectionError):
            transport, _ = await loop.create_connection(
                lambda: protocol, *address, ssl=client_context(), server_hostname="localhost"
            )
            notes.append(f"closing {transport.is_closing()}")
            transport.write(b"x")
        if where == "data_received":
            await turns(loop)
            protocol.transport.abort()
        await until(lambda: protocol.lost)
        await end(server)

    assert any("c.connection_lost" in note for note in both(scene, apart=True))


def test_start_tls_with_the_wrong_peer() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        for context in (None, "a context", 5):
            a, b = socket.socketpair()
            a.setblocking(False)
            with a, b:
                protocol = Noting(notes)
                transport, _ = await loop.create_connection(lambda p=protocol: p, sock=a)
                try:
                    await loop.start_tls(transport, protocol, context)
                except TypeError as e:
                    notes.append(level(str(e)))
                transport.abort()
                await turns(loop)
        a, b = socket.socketpair()
        a.setblocking(False)
        with a, b:
            b.send(b"not at all TLS, and long enough to be a record" * 10)
            protocol = Noting(notes)
            transport, _ = await loop.create_connection(lambda: protocol, sock=a)
            transport.pause_reading()
            try:
                await asyncio.wait_for(
                    loop.start_tls(transport, protocol, client_context(), server_hostname="localhost"), 20
                )
            except OSError as e:
                notes.append(told(e))
            await turns(loop)

    assert any("SSLError" in note for note in both(scene, apart=True))
