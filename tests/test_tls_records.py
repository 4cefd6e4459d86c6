"""The way of a byte through TLS, however the network cuts what it carries: nothing lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import sys
from collections.abc import Callable
from typing import Any

import pytest
from on_loops import run, turns
from tls_parts import OUR_PROTOCOL, THEIR_PROTOCOL, End, Log, Reports, connect, shuttle, take

ROUNDS = 4000 if os.environ.get("FENSHEN_SOAK") else 150
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]

versions = pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
KINDS = {"both": (OUR_PROTOCOL, OUR_PROTOCOL)}
if sys.version_info >= (3, 11):  # asyncio's was another before
    KINDS |= {"server": (OUR_PROTOCOL, THEIR_PROTOCOL), "client": (THEIR_PROTOCOL, OUR_PROTOCOL)}
kinds = pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)


class Buffered(asyncio.BufferedProtocol):
    """Takes what comes into buffers of changing sizes."""

    def __init__(self, rng: random.Random) -> None:
        self.data = bytearray()
        self.events: list[str] = []
        self._rng = rng
        self._buffer = bytearray()

    def get_buffer(self, sizehint: int) -> memoryview:
        self._buffer = bytearray(self._rng.choice([1, 2, 7, 100, 5000, 16384, 16385, 70000]))
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        assert 0 < nbytes <= len(self._buffer)
        self.data += self._buffer[:nbytes]

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append(f"lost {type(exc).__name__}")


def random_size(rng: random.Random) -> int:
    return rng.choice([1, rng.randrange(1, 100), rng.randrange(1, 5000), 16384, 16385, rng.randrange(1, 100_000)])


def write_something(end: End, rng: random.Random) -> bytes:
    """Writes by one of the ways that there are; what was written."""
    data = rng.randbytes(random_size(rng))
    match rng.randrange(4):
        case 0:
            end.transport.write(data)
        case 1:
            changing = bytearray(data)
            end.transport.write(changing)
            if type(end.protocol) is OUR_PROTOCOL:  # asyncio's sends what is there when the handshake is over
                changing[:] = bytes(len(changing))
        case 2:
            end.transport.write(memoryview(data))
        case 3:
            cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(5)))
            end.transport.writelines([data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)])
    return data


def pass_on(source: End, target: End, rng: random.Random) -> None:
    """Passes on some of what is on the wire."""
    if target.wire.reading:
        target.wire.feed(take(source.wire, rng.choice([1, 4, 5, 6, rng.randrange(1, 2000), 16406, 300_000])))


async def until_quiet(ends: tuple[End, End], rng: random.Random) -> None:
    """Passes on everything, in pieces."""
    for end in ends:
        end.transport.resume_reading()
    quiet, before = 0, -1
    while quiet < 5:
        moved = sum(len(end.app.data) for end in ends)
        quiet = quiet + 1 if moved == before and not any(end.wire.out for end in ends) else 0
        before = moved
        for source, target in (ends, ends[::-1]):
            pass_on(source, target, rng)
        await asyncio.sleep(0)


@kinds
@versions
@pytest.mark.parametrize("buffered", [False, True], ids=["protocol", "buffered"])
def test_arbitrary_writes_cut_at_arbitrary_places(kinds: Any, version: Any, buffered: bool) -> None:
    async def main(rng: random.Random) -> None:
        apps = [Buffered(rng) if buffered else Log() for _ in range(2)]
        ends = connect(apps[0], apps[1], kinds, version)
        sent = {id(end): bytearray() for end in ends}
        for _ in range(rng.randrange(5, 60)):
            source, target = rng.choice([ends, ends[::-1]])
            match rng.randrange(6):
                case 0 | 1:
                    sent[id(source)] += write_something(source, rng)
                case 2 | 3:
                    pass_on(source, target, rng)
                case 4:
                    rng.choice([source.transport.pause_reading, source.transport.resume_reading])()
                case 5:
                    await asyncio.sleep(0)
        await until_quiet(ends, rng)
        for source, target in (ends, ends[::-1]):
            assert target.app.data == sent[id(source)]
        for end in ends:
            end.transport.close()
        await until_quiet(ends, rng)
        for end in ends:
            assert end.app.events[-2:] == ["eof", "lost NoneType"]

    for seed in range(ROUNDS):
        try:
            run(main(random.Random(seed)))
        except BaseException as e:
            raise AssertionError(f"seed {seed}") from e


@kinds
@versions
def test_records_split_at_every_byte(kinds: Any, version: Any) -> None:
    async def main() -> None:
        server, client = connect(Log(), Log(), kinds, version)
        shuttle(client, server)
        sizes = [1, 0, 100, 20000, 3]
        for size in sizes:
            client.transport.write(b"x" * size)
        stream = take(client.wire)
        for i in range(len(stream)):
            server.wire.feed(stream[i : i + 1])
        assert len(server.app.data) == sum(sizes)

    run(main())


@versions
def test_a_cut_anywhere_delivers_every_whole_record_at_once(version: Any) -> None:
    async def main() -> None:
        server, client = connect(Log(), Log(), version=version)
        shuttle(client, server)
        await turns()
        shuttle(client, server)
        ends, total = [], 0
        for size in (10, 20, 30):
            before = len(client.wire.out)
            client.transport.write(bytes(size))
            ends.append((len(client.wire.out) - before, size))
        for length, size in ends:
            record = take(client.wire, length)
            server.wire.feed(record[:-1])
            assert len(server.app.data) == total
            server.wire.feed(record[-1:])
            total += size
            assert len(server.app.data) == total

    run(main())


@kinds
@versions
def test_data_in_the_segment_of_the_last_flight(kinds: Any, version: Any) -> None:
    """A client that writes before its handshake is done, so that its data goes with the handshake's end."""

    async def main() -> None:
        server, client = connect(Log(), Log(), kinds, version)
        client.transport.write(b"first")
        client.app.connection_made = lambda transport: transport.write(b"second")
        server.wire.feed(take(client.wire))
        client.wire.feed(take(server.wire))
        if version == ssl.TLSVersion.TLSv1_2:
            server.wire.feed(take(client.wire))
            client.wire.feed(take(server.wire))
        server.wire.feed(take(client.wire))
        assert server.app.data in (b"firstsecond", b"secondfirst")
        assert server.app.events[:2] == ["made", "data"]

    run(main())


def spoil(stream: bytes, rng: random.Random) -> bytes:
    """A stream with something wrong in it."""
    at = rng.randrange(len(stream))
    match rng.randrange(5):
        case 0:
            return stream[:at] + bytes([stream[at] ^ (1 << rng.randrange(8))]) + stream[at + 1 :]
        case 1:
            return stream[:at] + stream[at + 1 :]
        case 2:
            return stream[:at] + bytes([rng.randrange(256)]) + stream[at:]
        case 3:
            return stream[:at] + rng.randbytes(rng.randrange(1, 200)) + stream[at:]
        case _:
            return stream[at:]


@pytest.mark.parametrize("buffered", [False, True], ids=["protocol", "buffered"])
@versions
def test_a_spoilt_stream_ends_the_connection(version: Any, buffered: bool) -> None:
    """Whatever is wrong, what comes through is a beginning of what was sent, and the rest of the loop lives."""

    async def main(rng: random.Random) -> None:
        reports = Reports(asyncio.get_running_loop())
        app = Buffered(rng) if buffered else Log()
        server, client = connect(app, Log(), version=version)
        shuttle(client, server)
        sent = bytearray()
        for _ in range(rng.randrange(1, 5)):
            sent += write_something(client, rng)
        stream = take(client.wire)
        spoilt = spoil(stream, rng)
        while spoilt:
            size = rng.choice([1, 5, 1000, 100_000])
            server.wire.feed(spoilt[:size])
            spoilt = spoilt[size:]
            await asyncio.sleep(0)
        assert server.app.data == sent[: len(server.app.data)]
        if not server.wire.is_closing():  # it waits for the rest of a record: there is none
            server.protocol.eof_received()
        await turns(5)
        assert server.wire.is_closing()
        assert server.app.events[-1].startswith("lost ")
        assert sum(event.startswith("lost") for event in server.app.events) == 1
        assert reports.lines == []
        client.transport.abort()
        await turns()

    for seed in range(ROUNDS):
        try:
            run(main(random.Random(seed)))
        except BaseException as e:
            raise AssertionError(f"seed {seed}") from e


@versions
def test_what_came_before_a_bad_record_is_delivered(version: Any) -> None:
    async def main() -> None:
        server, client = connect(Log(), Log(), version=version)
        shuttle(client, server)
        client.transport.write(b"good")
        good = take(client.wire)
        client.transport.write(b"bad!")
        bad = bytearray(take(client.wire))
        bad[-1] ^= 1
        server.wire.feed(good + bytes(bad))
        await turns()
        assert server.app.data == b"good"
        assert server.app.events[-1] == "lost SSLError"
        client.transport.abort()
        await turns()

    run(main())


@versions
@pytest.mark.parametrize("where", ["header", "body", "between"])
def test_a_peer_that_vanishes(version: Any, where: str) -> None:
    async def main() -> None:
        server, client = connect(Log(), Log(), version=version)
        shuttle(client, server)
        client.transport.write(b"whole")
        whole = take(client.wire)
        client.transport.write(b"torn")
        torn = take(client.wire)
        server.wire.feed(whole + torn[: {"header": 3, "body": len(torn) - 1, "between": 0}[where]])
        server.protocol.eof_received()
        await turns(5)
        assert server.app.data == b"whole"
        assert server.app.events == ["made", "data", "eof", "lost NoneType"]
        client.transport.abort()
        await turns()

    run(main())


@versions
@pytest.mark.parametrize("size", [1, 2, 4, 5, 6, 50, 200])
def test_a_handshake_cut_in_pieces(version: Any, size: int) -> None:
    async def main() -> None:
        server, client = connect(Log(), Log(), version=version)
        while server.wire.out or client.wire.out:
            server.wire.feed(take(client.wire, size))
            client.wire.feed(take(server.wire, size))
        assert server.app.events == client.app.events == ["made"]
        server.transport.write(b"hello")
        while server.wire.out:
            client.wire.feed(take(server.wire, size))
        assert client.app.data == b"hello"

    run(main())


def test_arbitrary_bytes_for_a_handshake() -> None:
    async def main(rng: random.Random) -> None:
        reports = Reports(asyncio.get_running_loop())
        server, client = connect(Log(), Log())
        hello = take(client.wire)
        choices: list[Callable[[], bytes]] = [
            lambda: rng.randbytes(rng.randrange(1, 500)),
            lambda: spoil(hello, rng),
            lambda: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            lambda: b"\x16\x03\x01" + rng.randbytes(100),
        ]
        server.wire.feed(rng.choice(choices)())
        await asyncio.sleep(0)
        if not server.wire.is_closing():
            server.protocol.eof_received()
        await turns(5)
        assert server.wire.is_closing()
        assert server.app.events in ([], ["made", "eof", "lost NoneType"])
        assert reports.lines == []
        client.transport.abort()
        await turns()

    for seed in range(ROUNDS):
        try:
            run(main(random.Random(seed)))
        except BaseException as e:
            raise AssertionError(f"seed {seed}") from e


def test_a_key_update_is_answered() -> None:
    """TLS 1.3's request for new keys carries no data and wants an answer."""

    async def main() -> None:
        server, client = connect(Log(), Log(), version=ssl.TLSVersion.TLSv1_3)
        shuttle(client, server)
        for _ in range(3):
            client.transport.write(bytes(100_000))
            server.transport.write(bytes(100_000))
            shuttle(client, server)
        assert len(server.app.data) == len(client.app.data) == 300_000

    run(main())
