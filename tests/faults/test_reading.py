"""Reading: protocols that change in mid-stream, pausing and closing from within, and half-closed connections."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from scenes import Notes, Noting, NotingBuffer, attempt, both, connected, of, reset, tcp_pair, turns, unix_pair, until

KINDS = {"plain": Noting, "buffered": NotingBuffer}


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("when", ["connection_made", "data_received", "between"])
def test_another_protocol(first: str, second: str, when: str) -> None:
    """Each byte goes to the protocol that is set when it is read, whichever kind it is."""

    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            other = KINDS[second](notes, "q")
            call = {"data_received": "data_received" if first == "plain" else "buffer_updated"}.get(when, when)
            protocol = KINDS[first](notes, "p", **{call: lambda p: p.transport.set_protocol(other)})
            transport = await connected(loop, sock, protocol)
            for _ in range(3):
                peer.send(b"x" * 2500)
                await turns(loop)
                if when == "between":
                    transport.set_protocol(other)
                notes.append(f"{transport.get_protocol() is other}")
            peer.close()
            await turns(loop)
            notes.append(f"{len(protocol.got)} {len(other.got)}")

    notes = both(scene)
    assert "q.connection_lost None" in notes
    assert not of(notes, "p.connection_lost")


@pytest.mark.parametrize("bad", [5, object()], ids=["int", "object"])
def test_a_protocol_that_is_none(bad: Any) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            transport = await connected(loop, sock, Noting(notes))
            try:
                transport.set_protocol(bad)
            except TypeError:
                notes.append("refused")
                transport.abort()
                return
            peer.send(b"hello")
            await turns(loop)
            notes.append(f"closing {transport.is_closing()}")
            transport.set_protocol(Noting(notes, "q"))
            transport.abort()
            await turns(loop)

    both(scene)


@pytest.mark.parametrize("kind", KINDS)
def test_pausing_from_within(kind: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        call = "data_received" if kind == "plain" else "buffer_updated"
        for where in ("connection_made", call):
            notes.append(f"- {where}")
            with unix_pair() as (sock, peer):
                protocol = KINDS[kind](notes, **{where: lambda p: p.transport.pause_reading()})
                transport = await connected(loop, sock, protocol)
                for _ in range(2):
                    peer.send(b"x" * 1500)
                    await turns(loop)
                    notes.append(f"reading {transport.is_reading()} {len(protocol.got)}")
                protocol.doing.clear()
                transport.resume_reading()
                transport.resume_reading()
                await turns(loop)
                notes.append(f"reading {transport.is_reading()} {len(protocol.got)}")
                transport.pause_reading()
                peer.shutdown(socket.SHUT_WR)
                await turns(loop)
                notes.append("paused")
                transport.resume_reading()
                await turns(loop)

    notes = both(scene)
    assert notes.index("paused") < notes.index("p.eof_received")


@pytest.mark.parametrize("kind", KINDS)
def test_pausing_and_resuming_in_one_call(kind: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        def act(p: Noting) -> None:
            p.transport.pause_reading()
            p.transport.resume_reading()
            p.transport.pause_reading()
            loop.call_soon(p.transport.resume_reading)

        with unix_pair() as (sock, peer):
            protocol = KINDS[kind](notes, **{"data_received" if kind == "plain" else "buffer_updated": act})
            await connected(loop, sock, protocol)
            for _ in range(5):
                peer.send(b"x" * 700)
                await turns(loop)
            peer.close()
            await until(lambda: protocol.lost)
            notes.append(f"{len(protocol.got)}")

    assert "3500" in both(scene)


@pytest.mark.parametrize("what", ["close", "abort", "write and close", "write_eof", "pause and close"])
@pytest.mark.parametrize("where", ["connection_made", "data_received", "eof_received", "buffer_updated", "get_buffer"])
def test_ending_from_within(where: str, what: str) -> None:
    def act(p: Noting) -> None:
        if what == "write and close":
            p.transport.write(b"bye" * 10_000)
        if what == "pause and close" and p.transport.is_reading():
            p.transport.pause_reading()
        getattr(p.transport, what.split()[-1])()

    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            kind = NotingBuffer if where in ("buffer_updated", "get_buffer") else Noting
            protocol = kind(notes, **{where: act})
            transport = await connected(loop, sock, protocol)
            peer.setblocking(False)
            for data in (b"x" * 3000, b"y"):
                attempt(notes, "peer sends", lambda data=data: peer.send(data))
                await turns(loop)
            attempt(notes, "peer shuts", lambda: peer.shutdown(socket.SHUT_WR))
            await turns(loop)
            got = b""
            while len(got) < 30_000:
                try:
                    part = peer.recv(10_000)
                except BlockingIOError:
                    await turns(loop)
                    notes.append("peer waits")
                    break
                if not part:
                    notes.append("peer ends")
                    break
                got += part
                await turns(loop)
            notes.append(f"peer got {len(got)}")
            if not protocol.lost:
                transport.abort()
                await turns(loop)

    assert any("connection_lost" in note for note in both(scene))


@pytest.mark.parametrize("keep", [True, False, None, 1, "yes", 0])
def test_half_closed_by_the_peer(keep: Any) -> None:
    """What eof_received returns says whether the other half stays open."""

    async def scene(loop: Any, notes: Notes) -> None:
        with tcp_pair() as (sock, peer):
            protocol = Noting(notes, eof_received=lambda p: keep)
            transport = await connected(loop, sock, protocol)
            peer.send(b"all I have to say")
            peer.shutdown(socket.SHUT_WR)
            await turns(loop)
            notes.append(f"closing {transport.is_closing()} reading {transport.is_reading()}")
            if keep:
                attempt(notes, "pause", transport.pause_reading)
                attempt(notes, "resume", transport.resume_reading)
                transport.write(b"answer")
                await turns(loop)
                notes.append(f"{peer.recv(100)!r}")
                transport.write_eof()
                await turns(loop)
            notes.append(f"{peer.recv(100)!r}")
            transport.close()
            await turns(loop)

    notes = both(scene)
    assert "p.connection_lost None" in notes
    if keep:
        assert "b'answer'" in notes


def test_half_closed_by_us_first() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with tcp_pair() as (sock, peer):
            protocol = Noting(notes)
            transport = await connected(loop, sock, protocol)
            transport.write_eof()
            await turns(loop)
            notes.append(f"{peer.recv(10)!r}")
            for _ in range(3):
                peer.send(b"still talking")
                await turns(loop)
            peer.close()
            await until(lambda: protocol.lost)
            notes.append(f"closing {transport.is_closing()}")

    assert both(scene).count("p.data_received bytes 13") == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_reset_while_reading(kind: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with tcp_pair() as (sock, peer):
            protocol = KINDS[kind](notes)
            await connected(loop, sock, protocol)
            peer.send(b"hello")
            await turns(loop)
            reset(peer)
            await until(lambda: protocol.lost)

    assert any("p.connection_lost ConnectionResetError" in note for note in both(scene))


def test_a_reset_while_paused() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with tcp_pair() as (sock, peer):
            protocol = Noting(notes)
            transport = await connected(loop, sock, protocol)
            transport.pause_reading()
            reset(peer)
            await turns(loop)
            notes.append(f"closing {transport.is_closing()}")
            transport.resume_reading()
            await until(lambda: protocol.lost)

    both(scene)


@pytest.mark.parametrize("room", [1, 7, 65536])
def test_buffers_of_all_sizes(room: int) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            protocol = NotingBuffer(notes)
            protocol.room = room
            await connected(loop, sock, protocol)
            sent = bytes(range(256)) * 2
            peer.send(sent)
            peer.shutdown(socket.SHUT_WR)
            await until(lambda: protocol.lost)
            notes.append(f"the same {protocol.got == sent}")

    assert "the same True" in both(scene)


def test_the_buffer_may_be_resized_after_the_call() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            protocol = NotingBuffer(notes, buffer_updated=lambda p: p.buffer.clear())
            await connected(loop, sock, protocol)
            for _ in range(3):
                peer.send(b"hello")
                await turns(loop)
            peer.close()
            await until(lambda: protocol.lost)

    assert both(scene).count("p.buffer_updated 5") == 3


def test_data_is_bytes_that_may_be_kept() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        kept: list[bytes] = []

        class Keeping(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                kept.append(data)

        with unix_pair() as (sock, peer):
            transport = await connected(loop, sock, Keeping())
            for i in range(50):
                peer.send(bytes([i]) * (i + 1) * 37)
                await turns(loop, 3)
            await until(lambda: sum(map(len, kept)) == 37 * 50 * 51 // 2)
            notes.append(f"{b''.join(kept) == b''.join(bytes([i]) * (i + 1) * 37 for i in range(50))} {type(kept[0])}")
            transport.abort()
            await turns(loop)

    assert "True <class 'bytes'>" in both(scene)
