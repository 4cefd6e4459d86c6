"""Readers under random data, in random pieces, read by random calls: as asyncio's, no byte lost, doubled or moved."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys

import pytest
from fenshen import streams
from on_loops import each_loop, run, turns
from stream_sides import NATIVE, Remembers, alike, result

SOAK = bool(os.environ.get("FENSHEN_SOAK"))
SEEDS = range(2000 if SOAK else 60)
SEPARATORS = [b"\n", b"\r\n", b"aab", b"a", b"ba\n"]


def pieces(rng: random.Random, data: bytes) -> list[bytes]:
    """Data in pieces of random sizes, many small and some large."""
    out, at = [], 0
    while at < len(data):
        size = rng.choice([1, 1, 2, 3, rng.randrange(1, 40), rng.randrange(1, 400)])
        out.append(data[at : at + size])
        at += size
    return out


def a_call(rng: random.Random) -> tuple:
    """A read: its name and arguments."""
    name = rng.choice(["read", "read", "readexactly", "readline", "readuntil", "readuntil", "tuple", "all"])
    if name in ("read", "readexactly"):
        return name, rng.choice([0, 1, 2, 5, rng.randrange(60), rng.randrange(600)])
    if name == "tuple" and sys.version_info >= (3, 13):
        return "readuntil", tuple(rng.sample(SEPARATORS, rng.randrange(1, 4)))
    if name in ("readuntil", "tuple"):
        return "readuntil", rng.choice(SEPARATORS)
    return ("read",) if name == "all" and rng.random() < 0.1 else ("readline",)


@each_loop
def test_random_reads_of_random_pieces(factory):
    """The two get the same pieces and the same calls, in the same order of the loop's steps."""

    async def program(kinds):
        out = []
        for seed in SEEDS:
            rng = random.Random(seed)
            data = bytes(rng.choices(b"ab\r\n", k=rng.randrange(1500)))
            reader, transport = kinds.Reader(limit=rng.choice([1, 5, 64, 2**16])), Remembers()
            reader.set_transport(transport)
            protocol = kinds.Protocol(reader)
            todo, taken = pieces(rng, data), []
            task = None
            while todo or not reader.at_eof() or task is not None:
                step = rng.random()
                if todo and step < 0.4:
                    protocol.data_received(todo.pop(0))
                elif not todo and not reader._eof:
                    protocol.eof_received()
                elif task is None:
                    name, *args = a_call(rng)
                    task = asyncio.ensure_future(getattr(reader, name)(*args))
                elif step > 0.97 and name + str(args) != "read[]":  # of which asyncio loses what it has taken
                    task.cancel()
                elif step > 0.9:
                    out.append(bytes(reader._buffer))
                for _ in range(rng.randrange(3)):
                    await asyncio.sleep(0)
                if task is not None and task.done():
                    out.append(await result(task))
                    if not task.cancelled() and task.exception() is None:
                        taken.append(task.result())
                    elif not task.cancelled() and isinstance(task.exception(), asyncio.IncompleteReadError):
                        taken.append(task.exception().partial)
                    elif not task.cancelled():  # too long for the limit: out of the way with it
                        there = bytes(reader._buffer[:7])
                        out.append(there)
                        taken.append(await reader.readexactly(len(there)))
                    task = None
                out.append((transport.calls[-2:], reader._paused))
            out.append((seed, b"".join(taken) == data, len(data)))
        return out

    alike(program, factory)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_native_code_feeds_comes_out_whole(seed):
    """Over a socket pair: what the native transport hands over without an object, in the pieces it comes in.

    Reads are cancelled now and then; `readline`s of too long lines are left out, for those are let go of by design.
    """
    rng = random.Random(seed)
    data = bytes(rng.choices(b"ab\r\n", k=rng.randrange(1, 30_000)))

    async def send(writer: asyncio.StreamWriter) -> None:
        for piece in pieces(rng, data):
            writer.write(piece)
            if rng.random() < 0.3:
                await writer.drain()
            if rng.random() < 0.2:
                await asyncio.sleep(0)
        writer.write_eof()

    async def receive(reader: asyncio.StreamReader) -> bytes:
        taken = bytearray()
        while not reader.at_eof():
            name, *args = a_call(rng)
            task = asyncio.ensure_future(getattr(reader, name)(*args))
            if rng.random() < 0.2:
                await turns(rng.randrange(4))
                task.cancel()
            try:
                taken += await task
            except asyncio.IncompleteReadError as e:
                taken += e.partial
            except asyncio.CancelledError:
                pass
        return bytes(taken)

    async def main() -> None:
        here, there = socket.socketpair()
        reader, writer = await streams.open_connection(sock=here, limit=2**20)
        other, other_writer = await streams.open_connection(sock=there)
        assert type(reader) is NATIVE.Reader
        sending = asyncio.ensure_future(send(other_writer))
        assert await receive(reader) == data
        await sending
        for each in (writer, other_writer):
            each.close()
            await each.wait_closed()
        assert await other.read() == b""

    run(main())


@each_loop
def test_a_line_in_every_split(factory):
    """A line and what follows it, cut in two at every place, in every order of feeding and reading."""

    async def program(kinds):
        out, data = [], b"ab\r\ncd\r\n"
        for cut in range(len(data) + 1):
            for name, *args in [("readline",), ("readuntil", b"\r\n"), ("readexactly", 4), ("read", 4)]:
                reader = kinds.Reader()
                reader.feed_data(data[:cut])
                task = asyncio.ensure_future(getattr(reader, name)(*args))
                await turns()
                reader.feed_data(data[cut:])
                reader.feed_eof()
                out.append((cut, name, await result(task), bytes(reader._buffer), await result(reader.read())))
        return out

    assert len(alike(program, factory)) == 36
