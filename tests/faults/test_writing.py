"""Writing: what is not bytes, after the end, to a peer that resets, that reads slowly, or that is gone."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from typing import Any

import pytest
from scenes import Notes, Noting, attempt, both, connected, of, play, reset, tcp_pair, turns, unix_pair, until
from twins import OURS, Side, on_both, open_loop


async def read_all(loop: Any, peer: socket.socket, count: int) -> bytes:
    """So many bytes from a peer; less if it ends."""
    peer.setblocking(False)
    got = bytearray()
    while len(got) < count:
        part = await asyncio.wait_for(loop.sock_recv(peer, count - len(got)), 20)
        if not part:
            break
        got += part
    return bytes(got)


@pytest.mark.parametrize("bad", ["text", 5, [1], [b"x"], object], ids=["str", "int", "list", "list of bytes", "type"])
def test_what_is_not_bytes(bad: Any) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            transport = await connected(loop, sock, Noting(notes))
            attempt(notes, "write", lambda: transport.write(bad))
            await turns(loop)
            attempt(notes, "writelines", lambda: transport.writelines(bad))
            attempt(notes, "writelines", lambda: transport.writelines([bad]))
            await turns(loop)
            notes.append(f"closing {transport.is_closing()}")
            if not transport.is_closing():
                transport.write(b"fine")
                notes.append(f"peer got {await read_all(loop, peer, 4)!r}")
            transport.abort()
            await turns(loop)

    notes = both(scene)
    assert any("Error" in note for note in notes)


@pytest.mark.parametrize("arguments", [(), (b"a", b"b")], ids=["none", "two"])
def test_a_wrong_number_of_arguments(arguments: tuple[Any, ...]) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, _):
            transport = await connected(loop, sock, Noting(notes))
            for name in ("write", "writelines"):
                with pytest.raises(TypeError):
                    getattr(transport, name)(*arguments)
            transport.abort()
            await turns(loop)

    both(scene)


def mixed() -> list[Any]:
    return [
        b"bytes",
        bytearray(b"bytearray"),
        memoryview(b"view"),
        memoryview(array.array("i", [1, 2, 3])),
        memoryview(array.array("d", [1.0, 2.0]))[1:],
        b"",
        memoryview(bytes(range(12))).cast("B", (3, 4)),
        b"x" * 100_000,
    ]


@pytest.mark.parametrize("full", [False, True], ids=["at once", "behind others"])
@pytest.mark.parametrize("how", ["write", "writelines", "generator"])
def test_buffers_of_every_kind(how: str, full: bool) -> None:
    """Ours only: asyncio's lost count of views whose items are not bytes, from 3.12 on."""

    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            transport = await connected(loop, sock, Noting(notes))
            if full:
                transport.write(b"y" * 300_000)
            pieces = mixed()
            if how == "write":
                for piece in pieces:
                    transport.write(piece)
            else:
                transport.writelines(iter(pieces) if how == "generator" else pieces)
            notes.append(f"paused {'p.pause_writing' in notes}")
            expected = b"".join([b"y" * 300_000 * full, *(bytes(each) for each in pieces)])
            got = await read_all(loop, peer, len(expected))
            notes.append(f"the same: {got == expected}, {len(got) - len(expected)}")
            transport.close()
            await turns(loop)

    notes = play(OURS, scene)
    assert "the same: True, 0" in notes
    assert "paused True" in notes
    assert not of(notes, "handler") + of(notes, "ended") + of(notes, "left open")


@pytest.mark.parametrize("how", ["write", "writelines"])
def test_what_was_written_may_change_afterwards(how: str) -> None:
    """Ours only: from 3.12 on asyncio holds on to what it was given, which may then not be resized until it is sent."""

    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            transport = await connected(loop, sock, Noting(notes))
            data = bytearray(b"a" * 300_000)
            if how == "write":
                transport.write(data)
            else:
                transport.writelines([data[:1000], data[1000:]])
            data[:] = b"b" * 300_000
            data.clear()
            got = await read_all(loop, peer, 300_000)
            notes.append(f"{len(got)} {set(got)}")
            transport.close()
            await turns(loop)

    assert f"300000 {{{ord('a')}}}" in play(OURS, scene)


def test_write_eof() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        for size in (0, 10, 500_000):
            notes.append(f"- {size}")
            with unix_pair() as (sock, peer):
                protocol = Noting(notes, eof_received=lambda p: True)
                transport = await connected(loop, sock, protocol)
                notes.append(f"can_write_eof {transport.can_write_eof()}")
                transport.write(b"x" * size)
                attempt(notes, "write_eof", transport.write_eof)
                attempt(notes, "write_eof", transport.write_eof)
                attempt(notes, "write", transport.write, b"more")
                attempt(notes, "write", transport.write, b"")
                attempt(notes, "writelines", transport.writelines, [b"more"])
                got = await read_all(loop, peer, size + 10)
                notes.append(f"{len(got)}")
                peer.send(b"still")
                await turns(loop)
                peer.shutdown(socket.SHUT_WR)
                await turns(loop)
                notes.append(f"closing {transport.is_closing()}")
                transport.close()
                await turns(loop)

    notes = both(scene)
    assert len(of(notes, "write raised RuntimeError(Cannot call write() after write_eof())")) >= 3


@pytest.mark.parametrize("size", [10, 10_000_000])
def test_a_reset_while_writing(size: int) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with tcp_pair() as (sock, peer):
            protocol = Noting(notes)
            transport = await connected(loop, sock, protocol)
            transport.write(b"x" * size)
            await turns(loop)
            peer.recv(5)
            reset(peer)
            await until(lambda: protocol.lost)
            for _ in range(7):
                attempt(notes, "write", transport.write, b"more")
            await turns(loop)
            notes.append(f"buffered {transport.get_write_buffer_size()}")

    notes = both(scene)
    assert any("p.connection_lost ConnectionResetError" in note or "BrokenPipe" in note for note in notes)
    assert "log: socket.send() raised exception." in notes


def test_a_peer_that_is_gone() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        for size in (1, 1_000_000):
            with unix_pair() as (sock, peer):
                protocol = Noting(notes, eof_received=lambda p: True)
                transport = await connected(loop, sock, protocol)
                peer.close()
                attempt(notes, "write", transport.write, b"x" * size)
                await until(lambda protocol=protocol: protocol.lost)
                attempt(notes, "write", transport.write, b"x")
                attempt(notes, "close", transport.close)

    assert any("p.connection_lost BrokenPipeError" in note for note in both(scene))


@pytest.mark.parametrize("limits", [{}, {"high": 100_000}, {"high": 100_000, "low": 10_000}, {"low": 500}, {"high": 0}])
def test_a_slow_reader_holds_the_writer_back(limits: dict[str, int]) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            peer.setblocking(False)
            protocol = Noting(notes)
            transport = await connected(loop, sock, protocol)
            transport.set_write_buffer_limits(**limits)
            low, high = transport.get_write_buffer_limits()
            notes.append(f"limits {low} {high}")
            written = 0
            while protocol.calls.count("pause_writing") == 0:
                transport.write(b"x" * 1000)
                written += 1000
                assert written < 10_000_000
            size = transport.get_write_buffer_size()
            notes.append(f"paused within {high <= size <= high + 1000}")
            got = 0
            while got < written:
                got += len(await loop.sock_recv(peer, 100))
                size = transport.get_write_buffer_size()
                if "resume_writing" in protocol.calls and not any("resumed" in note for note in notes):
                    notes.append(f"resumed at {size <= low}")
            notes.append(f"{protocol.calls} {transport.get_write_buffer_size()}")
            transport.close()
            await turns(loop)

    notes = both(scene)
    assert "paused within True" in notes
    assert "resumed at True" in notes


def test_drain_waits_for_a_slow_reader() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            peer.setblocking(False)
            _, writer = await asyncio.open_connection(sock=sock)
            high = writer.transport.get_write_buffer_limits()[1]

            async def write() -> None:
                for _ in range(200):
                    writer.write(b"x" * 10_000)
                    await writer.drain()

            writing = loop.create_task(write())
            await turns(loop)
            got = 0
            sizes = []
            while got < 2_000_000:
                got += len(await loop.sock_recv(peer, 50_000))
                sizes.append(writer.transport.get_write_buffer_size())
            notes.append(f"inside the limits {max(sizes) <= high + 10_000}, held back {max(sizes) > 0}")
            await writing
            writer.close()
            await writer.wait_closed()

    assert "inside the limits True, held back True" in both(scene)


@pytest.mark.parametrize(
    "limits", [{"high": -1}, {"high": 1, "low": 2}, {"low": -1}, {"high": "x"}, {"wide": 1}], ids=str
)
def test_limits_without_sense(limits: dict[str, Any]) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, _):
            transport = await connected(loop, sock, Noting(notes))
            try:
                transport.set_write_buffer_limits(**limits)
            except (ValueError, TypeError) as e:
                notes.append(type(e).__name__ + (f" {e}" if isinstance(e, ValueError) else ""))
            notes.append(f"{transport.get_write_buffer_limits()}")
            transport.abort()
            await turns(loop)

    both(scene)


@pytest.mark.parametrize("what", ["write", "write_eof", "abort", "close"])
def test_from_a_done_callback_as_the_loop_stops(what: str) -> None:
    def program(side: Side) -> Notes:
        notes: Notes = []
        with open_loop(side) as loop, unix_pair() as (sock, peer):
            transport = loop.run_until_complete(connected(loop, sock, Noting(notes)))
            done = loop.create_future()
            action = (lambda: transport.write(b"last words")) if what == "write" else getattr(transport, what)
            done.add_done_callback(lambda _: attempt(notes, what, action))
            done.add_done_callback(lambda _: loop.stop())
            loop.call_soon(done.set_result, None)
            loop.run_forever()
            if what == "write":
                notes.append(f"{peer.recv(100)!r}")
            loop.run_until_complete(turns(loop))
            transport.abort()
            loop.run_until_complete(turns(loop))
        return notes

    assert len(on_both(program)) >= 2


def test_a_transport_written_to_while_the_loop_is_not_running() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with unix_pair() as (sock, peer):
            peer.setblocking(False)
            transport = await connected(loop, sock, Noting(notes))

            def write() -> None:
                for _ in range(100):
                    transport.write(b"z" * 100)

            await loop.run_in_executor(None, write)
            notes.append(f"{len(await read_all(loop, peer, 10_000))}")
            transport.abort()
            await turns(loop)

    both(scene)


def test_random_sizes_arrive_whole() -> None:
    import random

    async def scene(loop: Any, notes: Notes) -> None:
        chosen = random.Random(7)
        with tcp_pair() as (sock, peer):
            transport = await connected(loop, sock, Noting(notes))
            sent, got = bytearray(), b""
            data = os.urandom(300_000)
            while len(sent) < 5_000_000:
                piece = data[: chosen.choice([1, 50, 3000, 70_000, 300_000])]
                if chosen.random() < 0.5:
                    transport.write(piece)
                    sent += piece
                else:
                    for each in (piece, piece[:10], piece):
                        transport.write(each)
                        sent += each
                if chosen.random() < 0.3:
                    got += await read_all(loop, peer, min(len(sent) - len(got), 400_000))
            got += await read_all(loop, peer, len(sent) - len(got))
            notes.clear()
            notes.append(f"the same {got == bytes(sent)}")
            transport.close()
            await turns(loop)

    assert "the same True" in both(scene)
