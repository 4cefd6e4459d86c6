"""Transports after their end, without an end, and in the way of others."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import warnings
from typing import Any

import pytest
from scenes import Notes, Noting, attempt, both, connected, level, of, open_files, play, turns, unix_pair, until
from twins import OURS, Side, on_both, open_loop


@pytest.mark.parametrize("how", ["close", "abort", "the peer closes"])
def test_everything_after_close(how: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            protocol = Noting(notes)
            transport = await connected(loop, sock, protocol)
            peer.close() if how == "the peer closes" else getattr(transport, how)()
            for when in ("at once", "later"):
                if when == "later":
                    await until(lambda: protocol.lost)
                notes.append(f"- {when}")
                for name in (
                    "is_closing",
                    "get_write_buffer_size",
                    "get_write_buffer_limits",
                    "close",
                    "can_write_eof",
                ):
                    attempt(notes, name, getattr(transport, name))
                if how == "the peer closes" and when == "at once":
                    continue
                attempt(notes, "write", lambda: transport.write(b"x"))
                for name in ("write_eof", "pause_reading", "resume_reading", "is_reading", "close", "abort"):
                    attempt(notes, name, getattr(transport, name))
                attempt(notes, "write text", lambda: transport.write("x"))
                for key in ("peername", "socket", "nothing"):
                    notes.append(f"{key} {type(transport.get_extra_info(key)).__name__}")
                attempt(notes, "fileno", lambda: transport.get_extra_info("socket").fileno() == -1)
            notes.append(f"{'closed' in repr(transport) or 'closing' in repr(transport)}")
            await turns(loop)

    notes = both(scene)
    assert len([note for note in notes if "connection_lost" in note]) == 1


def test_closing_twice_and_losing_once() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        for first in ("close", "abort"):
            for second in ("close", "abort"):
                with unix_pair() as (sock, _):
                    transport = await connected(loop, sock, Noting(notes))
                    transport.write(b"x" * 100_000)
                    for name in (first, second, first):
                        getattr(transport, name)()
                    await turns(loop)
                    notes.append(f"{transport.is_closing()} {transport.get_write_buffer_size()}")
                    transport.abort()
                    await turns(loop)

    assert both(scene).count("p.connection_lost None") == 4


def test_close_sends_the_rest_and_abort_does_not() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        for what in ("close", "abort"):
            with unix_pair() as (sock, peer):
                peer.setblocking(False)
                protocol = Noting(notes)
                transport = await connected(loop, sock, protocol)
                transport.write(b"x" * 500_000)
                getattr(transport, what)()
                got = 0
                while part := await asyncio.wait_for(loop.sock_recv(peer, 1 << 20), 20):
                    got += len(part)
                await until(lambda protocol=protocol: protocol.lost)
                notes.append(f"{what}: {got == 500_000}")

    notes = both(scene)
    assert "close: True" in notes
    assert "abort: False" in notes


@pytest.mark.parametrize("pending", [False, True], ids=["idle", "with bytes to send"])
def test_a_loop_that_is_closed_with_open_transports(pending: bool) -> None:
    def program(side: Side) -> Notes:
        notes: Notes = []
        with unix_pair() as (sock, _), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with open_loop(side) as loop:
                protocol = Noting(notes)
                transport = loop.run_until_complete(connected(loop, sock, protocol))
                if pending:
                    transport.write(b"x" * 1_000_000)
            del transport, protocol.transport, protocol, loop
            gc.collect()
            notes += [f"{each.category.__name__} {level(str(each.message))[:20]}" for each in caught]
            notes.append(f"closed {sock.fileno() == -1}")
        return notes

    notes = on_both(program)
    assert "ResourceWarning unclosed transport <" in notes
    assert "closed True" in notes


def test_a_transport_of_a_closed_loop() -> None:
    """Nothing crashes and nothing is left open, whatever is asked of it."""
    for name in (
        "close",
        "abort",
        "pause_reading",
        "resume_reading",
        "write_eof",
        "is_closing",
        "get_write_buffer_size",
    ):
        with unix_pair() as (sock, _), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_loop(OURS) as loop:
                transport = loop.run_until_complete(connected(loop, sock, Noting([])))
            for _ in range(2):
                with contextlib.suppress(RuntimeError):  # closed, or written to after its end
                    getattr(transport, name)()
                    transport.write(b"x" * 100_000)
                    transport.writelines([b"x" * 100_000])
            assert transport.get_extra_info("socket") is not None
            assert repr(transport)
            del transport
            gc.collect()


def test_a_transport_that_is_dropped() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            protocol = Noting(notes)
            transport = await connected(loop, sock, protocol)
            protocol.transport = None
            del transport  # watched by the loop, it lives on
            gc.collect()
            peer.send(b"hello")
            await turns(loop)
            peer.close()
            await until(lambda: protocol.lost)

    assert both(scene) == ["p.connection_made", "p.data_received bytes 5", "p.eof_received", "p.connection_lost None"]


def test_a_closed_connection_is_collected() -> None:
    import weakref

    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, _):
            protocol = Noting(notes)
            transport = await connected(loop, sock, protocol)
            transport.write(b"x" * 300_000)
            transport.abort()
            await turns(loop)
            dead = weakref.ref(transport), weakref.ref(protocol)
            protocol.transport = None
            del transport, protocol, sock
            gc.collect()
            notes.append(f"{[ref() is None for ref in dead]}")

    assert "[True, True]" in both(scene)


def test_a_transports_file_is_its_own() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            transport = await connected(loop, sock, Noting(notes))
            fd = sock.fileno()
            for name in ("add_reader", "add_writer"):
                attempt(notes, name, lambda name=name: getattr(loop, name)(fd, print))
                attempt(notes, name, lambda name=name: getattr(loop, name)(sock, print))
            for name in ("remove_reader", "remove_writer"):
                attempt(notes, name, lambda name=name: getattr(loop, name)(fd))
            for operation in (
                loop.sock_recv(sock, 1),
                loop.sock_sendall(sock, b"x"),
                loop.sock_accept(sock),
                loop.sock_recv_into(sock, bytearray(1)),
            ):
                try:
                    await asyncio.wait_for(operation, 5)
                except (RuntimeError, OSError, ValueError) as e:
                    notes.append(f"{type(e).__name__} {level(str(e))}"[:70])
            peer.send(b"hello")
            await turns(loop)
            transport.close()
            await turns(loop)
            os.set_blocking(peer.fileno(), False)
            attempt(notes, "add_reader", lambda: loop.add_reader(peer.fileno(), print))
            attempt(notes, "remove_reader", lambda: loop.remove_reader(peer.fileno()))

    notes = both(scene)
    assert of(notes, "add_reader raised RuntimeError(File descriptor N is used by transport <")


def test_a_file_that_is_watched_cannot_become_a_transport() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            transport = await connected(loop, sock, Noting(notes))
            try:
                await connected(loop, sock, Noting(notes, "q"))
            except Exception as e:
                notes.append(f"{type(e).__name__}")
            else:
                notes.append("a second transport")
            peer.send(b"hello")
            await turns(loop)
            transport.abort()
            await turns(loop)

    notes = play(OURS, scene)
    assert not of(notes, "ended")


def test_the_socket_is_closed_under_it() -> None:
    """A program's fault, after which the loop must go on, and the transport can be closed."""

    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, _):
            transport = await connected(loop, sock, Noting(notes))
            os.close(os.dup(sock.fileno()))
            transport.get_extra_info("socket")
            sock.shutdown(socket.SHUT_RDWR)
            await turns(loop)
            transport.write(b"x")
            transport.close()
            await turns(loop)

    assert any("connection_lost" in note for note in both(scene))


def test_a_thousand_connections_leave_nothing() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        server = await loop.create_server(
            lambda: Noting([], data_received=lambda p: p.transport.close()), "127.0.0.1", 0
        )
        address = server.sockets[0].getsockname()
        before = len(open_files())
        for _ in range(20):
            protocols = [Noting([]) for _ in range(50)]
            await asyncio.gather(*(loop.create_connection(lambda p=p: p, *address) for p in protocols))
            for protocol in protocols:
                protocol.transport.write(b"x")
            await until(lambda protocols=protocols: all(protocol.lost for protocol in protocols))
        await turns(loop)
        notes.append(f"{len(open_files()) - before}")
        server.close()
        await server.wait_closed()

    assert both(scene) == ["0"]
