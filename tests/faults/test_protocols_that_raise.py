"""A protocol, or its factory, that raises: that connection dies, the exception handler is told, the server lives."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from scenes import Notes, Noting, NotingBuffer, both, connected, of, play, tcp_pair, turns, unix_pair, until
from twins import ASYNCIO, OURS

CALLS = ("connection_made", "data_received", "eof_received", "connection_lost")
BUFFER_CALLS = ("connection_made", "get_buffer", "buffer_updated", "eof_received", "connection_lost")


def made(notes: Notes, call: str, buffered: bool) -> Noting:
    return (NotingBuffer if buffered else Noting)(notes, raising=call)


CASES = [(call, False) for call in CALLS] + [(call, True) for call in BUFFER_CALLS]
each_call = pytest.mark.parametrize(("call", "buffered"), CASES, ids=[f"{c}{'-buffered' * b}" for c, b in CASES])


@each_call
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_that_connection_dies_and_the_server_lives(call: str, buffered: bool, kind: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        protocols: list[Noting] = []

        def factory() -> Noting:
            protocols.append(made(notes, call if not protocols else "", buffered))
            return protocols[-1]

        with tempfile.TemporaryDirectory() as folder:
            if kind == "tcp":
                server = await loop.create_server(factory, "127.0.0.1", 0)
            else:
                server = await loop.create_unix_server(factory, f"{folder}/s")
            address = server.sockets[0].getsockname()
            for _ in range(2):
                with socket.socket(server.sockets[0].family) as peer:
                    peer.setblocking(False)
                    await loop.sock_connect(peer, address)
                    await turns(loop)
                    with contextlib.suppress(ConnectionError):
                        await loop.sock_sendall(peer, b"hello")
                        await turns(loop)
                        peer.shutdown(socket.SHUT_WR)
                        notes.append(f"peer got {await asyncio.wait_for(loop.sock_recv(peer, 10), 10)!r}")
                    await turns(loop)
            if call == "connection_made":  # asyncio leaves such a connection open: only it can close it
                protocols[0].transport.abort()
                await turns(loop)
            server.close()
            await server.wait_closed()

    notes = both(scene)
    assert len(of(notes, "handler: ")) == 1
    assert f"from {call}" in of(notes, "handler: ")[0]
    assert notes.count("p.connection_made") == notes.count("p.connection_lost None") + len(
        of(notes, "p.connection_lost ValueError")
    )
    assert not of(notes, "left open")


@each_call
def test_a_transport_of_a_client(call: str, buffered: bool) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            protocol = made(notes, call, buffered)
            transport = await connected(loop, sock, protocol)
            peer.send(b"hello")
            await turns(loop)
            notes.append(f"closing {transport.is_closing()}")
            peer.close()
            await turns(loop)
            transport.abort()
            await turns(loop)

    assert any(f"from {call}" in note for note in both(scene))


@pytest.mark.parametrize("call", ["pause_writing", "resume_writing"])
def test_flow_control_that_raises(call: str) -> None:
    """It is reported, and the connection goes on: that is asyncio's way."""

    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            protocol = Noting(notes, raising=call)
            transport = await connected(loop, sock, protocol)
            transport.write(b"x" * 1_000_000)
            got = 0
            peer.setblocking(False)
            while got < 1_000_000:
                got += len(await loop.sock_recv(peer, 100_000))
            await turns(loop)
            notes.append(f"closing {transport.is_closing()}, buffered {transport.get_write_buffer_size()}")
            transport.close()
            await turns(loop)

    notes = both(scene)
    assert len(of(notes, "handler: ")) == 1
    assert f"protocol.{call}() failed: ValueError" in of(notes, "handler: ")[0]
    assert "p.connection_lost None" in notes


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("call", ["data_received", "eof_received", "get_buffer", "buffer_updated", "connection_lost"])
def test_an_interrupt_ends_the_loop(call: str, error: type[BaseException]) -> None:
    def interrupt(protocol: Noting) -> None:
        raise error("now")

    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            kind = NotingBuffer if call in ("get_buffer", "buffer_updated") else Noting
            transport = await connected(loop, sock, kind(notes, **{call: interrupt}))
            peer.send(b"hello")
            if call in ("eof_received", "connection_lost"):
                peer.shutdown(socket.SHUT_WR)
            try:
                await asyncio.sleep(10)
            finally:
                transport.abort()

    assert any(error.__name__ in note for note in both(scene))


def bad_factories(notes: Notes) -> dict[str, Callable[[], Any]]:
    def raising() -> Any:
        raise ValueError("from the factory")

    return {"raises": raising, "returns None": lambda: None, "returns an object": object}


@pytest.mark.parametrize("what", ["raises", "returns None", "returns an object"])
def test_a_factory_that_fails(what: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        factories = [bad_factories(notes)[what]]
        server = await loop.create_server(
            lambda: (factories.pop() if factories else lambda: Noting(notes))(), "127.0.0.1", 0
        )
        for _ in range(2):
            with socket.create_connection(server.sockets[0].getsockname()) as peer:
                peer.setblocking(False)
                await turns(loop)
                peer.send(b"hello")
                await turns(loop)
        await turns(loop)
        server.close()

    calls = ["p.connection_made", "p.data_received bytes 5", "p.eof_received", "p.connection_lost None"]
    for side in (ASYNCIO, OURS):
        notes = play(side, scene)
        # asyncio says nothing and leaves an unclosed transport; ours says nothing and leaves none.
        assert [note for note in notes if side is OURS or not note.startswith("warning")] == calls


@pytest.mark.parametrize("what", ["raises", "returns None", "returns an object"])
def test_a_clients_factory_that_fails(what: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            try:
                transport, _ = await loop.create_connection(bad_factories(notes)[what], *server.getsockname())
            except Exception as e:
                notes.append(f"raised {type(e).__name__} {e}")
            else:
                notes.append(f"connected {type(transport).__name__}")
            await turns(loop)

    for side in (ASYNCIO, OURS):
        notes = play(side, scene)
        assert notes[0].startswith(
            "raised ValueError from the factory" if what == "raises" else "raised AttributeError"
        )
        assert not of(notes, "left open")


@pytest.mark.parametrize("bad", [b"", 5, None, bytearray()], ids=repr)
def test_a_buffer_that_is_none(bad: Any) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            protocol = NotingBuffer(notes, get_buffer=lambda p: bad if bad is not None else 0)
            await connected(loop, sock, protocol)
            peer.send(b"hello")
            await until(lambda: protocol.lost)

    notes = both(scene)
    assert of(notes, "p.connection_lost")[0] != "p.connection_lost None"
    assert len(of(notes, "handler: ")) == 1


def test_datagrams() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        class Protocol(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, address: Any) -> None:
                notes.append(f"received {data!r}")
                raise ValueError("from datagram_received")

            def error_received(self, exc: Exception) -> None:
                notes.append(f"error_received {type(exc).__name__}")
                raise ValueError("from error_received")

            def connection_lost(self, exc: BaseException | None) -> None:
                notes.append(f"connection_lost {exc!r}")

        transport, _ = await loop.create_datagram_endpoint(Protocol, ("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for _ in range(2):
                peer.sendto(b"hello", transport.get_extra_info("sockname"))
                await turns(loop)
        notes.append(f"closing {transport.is_closing()}")
        transport.close()
        await turns(loop)

    notes = both(scene)
    assert notes[0] == "received b'hello'"


@pytest.mark.parametrize("call", ["connection_made", "pipe_data_received", "process_exited", "connection_lost"])
def test_processes(call: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        lost = loop.create_future()

        def note(name: str, *words: Any) -> None:
            calls.append(name)
            if name == call and calls.count(name) == 1:
                raise ValueError(f"from {name}")

        calls: list[str] = []

        class Protocol(asyncio.SubprocessProtocol):
            def connection_made(self, transport: Any) -> None:
                note("connection_made")

            def pipe_data_received(self, fd: int, data: bytes) -> None:
                note("pipe_data_received")

            def process_exited(self) -> None:
                note("process_exited")

            def connection_lost(self, exc: BaseException | None) -> None:
                lost.set_result(None)
                note("connection_lost")

        try:
            transport, _ = await loop.subprocess_exec(Protocol, "cat", stdout=-1, stdin=-1, stderr=None)
        except ValueError as e:
            notes.append(f"raised {e}")
            return
        stdin = transport.get_pipe_transport(0)
        stdin.write(b"hello")
        await asyncio.sleep(0.05)
        stdin.close()
        await asyncio.wait_for(lost, 20)
        await turns(loop)
        notes.append(f"{sorted(set(calls))} {transport.get_returncode()}")
        transport.close()

    assert any(f"from {call}" in note for note in both(scene))


def test_tls_data() -> None:
    """Over TLS too; the rest of TLS' faults has a file of its own."""
    from tls_scenes import client_context, server_context

    async def scene(loop: Any, notes: Notes) -> None:
        protocols: list[Noting] = []

        def factory() -> Noting:
            protocols.append(Noting(notes, raising="data_received" if not protocols else ""))
            return protocols[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=server_context())
        for _ in range(2):
            host, port = server.sockets[0].getsockname()
            _reader, writer = await asyncio.open_connection(
                host, port, ssl=client_context(), server_hostname="localhost"
            )
            writer.write(b"hello")
            await turns(loop)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            await turns(loop)
        server.close()
        await server.wait_closed()

    notes = both(scene)
    assert notes.count("p.data_received bytes 5") == 2
    assert len(of(notes, "handler: ")) == 1


def test_a_reset_in_each_call() -> None:
    """Closing, aborting, from each call of the protocol."""

    async def scene(loop: Any, notes: Notes) -> None:
        for call in ("connection_made", "data_received", "eof_received", "pause_writing"):
            for what in ("close", "abort"):
                notes.append(f"- {what} in {call}")
                with tcp_pair() as (sock, peer):
                    act: Callable[[Noting], Any] = lambda p, what=what: getattr(p.transport, what)()  # noqa: E731
                    protocol = Noting(notes, **{call: act})
                    transport = await connected(loop, sock, protocol)
                    with contextlib.suppress(OSError):
                        peer.send(b"hello")
                    await turns(loop)
                    if call == "pause_writing":
                        transport.write(b"x" * 10_000_000)
                    await turns(loop)
                    with contextlib.suppress(OSError):
                        peer.shutdown(socket.SHUT_WR)
                    await turns(loop)
                    notes.append(f"closing {transport.is_closing()} lost {protocol.lost}")
                    transport.abort()
                    await turns(loop)

    notes = both(scene)
    assert "closing True lost True" in notes
