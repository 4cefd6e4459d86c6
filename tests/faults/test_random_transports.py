"""Programs made at random, of all that can be done to a transport and to its peer: the same notes on both loops."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest
from scenes import Notes, Noting, NotingBuffer, attempt, both, connected, tcp_pair, turns, unix_pair

# asyncio's own came to forget `pause_writing`, and to stumble over nothing, in 3.12; the former was mended in 3.12.8.
WRITELINES = "write" if sys.version_info >= (3, 12) else "writelines"
COUNT = 1500 if os.environ.get("FENSHEN_SOAK") == "1" else 25
SIZES = (0, 1, 10, 1000, 5000, 70_000, 300_000)
CALLS = ("connection_made", "data_received", "eof_received", "connection_lost", "pause_writing", "resume_writing")
BUFFER_CALLS = ("get_buffer", "buffer_updated")


class Program:
    """One program: its steps are chosen before it is played, so that both loops get the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        choose = self.random.choice
        self.pair = choose([unix_pair, unix_pair, tcp_pair])
        self.buffered = choose([False, False, True])
        self.raising = choose(["", "", "", "", *CALLS, *BUFFER_CALLS])
        self.doing = {
            choose(CALLS + BUFFER_CALLS): choose(
                ["close", "abort", "pause_reading", "write", "write_eof", "True", "set"]
            )
            for _ in range(choose([0, 0, 1, 2]))
        }
        self.limits = choose([None, None, (0, None), (1, 0), (1000, 100), (100_000, None)])
        self.steps = [self.step() for _ in range(self.random.randrange(3, 25))]

    def step(self) -> tuple[str, int]:
        names = ["write"] * 5 + [WRITELINES, "pause", "resume", "send", "send", "send", "drain", "drain", "read"]
        names += ["write_eof", "close", "abort", "shutdown", "peer closes", "set_protocol", "limits", "nothing"]
        return self.random.choice(names), self.random.choice(SIZES)

    def protocol(self, notes: Notes, name: str) -> Noting:
        actions: dict[str, Callable[[Noting], Any]] = {
            "close": lambda p: p.transport.close(),
            "abort": lambda p: p.transport.abort(),
            "pause_reading": lambda p: attempt(notes, "pause_reading", p.transport.pause_reading),
            "write": lambda p: p.transport.write(b"x" * 5000),
            "write_eof": lambda p: attempt(notes, "write_eof", p.transport.write_eof),
            "True": lambda p: True,
            "set": lambda p: p.transport.set_protocol(Noting(notes, "other")),
        }
        # What get_buffer returns is its business alone.
        doing = {call: actions[what] for call, what in self.doing.items() if (call, what) != ("get_buffer", "True")}
        if self.buffered:
            doing = {call: _nothing(action) if call == "get_buffer" else action for call, action in doing.items()}
        made = (NotingBuffer if self.buffered else Noting)(notes, name, self.raising, **doing)
        made.transport = None
        return made

    async def scene(self, loop: Any, notes: Notes) -> None:
        with self.pair() as (sock, peer):
            peer.setblocking(False)
            protocol = self.protocol(notes, "p")
            transport = await connected(loop, sock, protocol)
            if self.limits:
                transport.set_write_buffer_limits(*self.limits)
            for name, size in self.steps:
                if protocol.lost and name in ("writelines", "limits"):  # asyncio's own trip over what they have let go
                    continue
                notes.append(f"- {name} {size}")
                self.do(notes, name, size, transport, peer)
                await turns(loop, 6)
                notes.append(f"closing {transport.is_closing()}, buffered {transport.get_write_buffer_size() > 0}")
                with contextlib.suppress(AttributeError):  # asyncio's, once it is lost
                    notes.append(f"reading {transport.is_reading()}")
            attempt(notes, "abort", transport.abort)
            await turns(loop, 6)
            transport.close()

    def do(self, notes: Notes, name: str, size: int, transport: Any, peer: socket.socket) -> None:
        data = b"d" * size
        if name in ("write", "writelines"):
            attempt(notes, name, lambda: getattr(transport, name)(data if name == "write" else [data, b"", data]))
        elif name in ("pause", "resume"):
            attempt(notes, name, getattr(transport, f"{name}_reading"))
        elif name in ("write_eof", "close", "abort"):
            attempt(notes, name, getattr(transport, name))
        elif name == "set_protocol":
            transport.set_protocol(Noting(notes, f"q{size}"))
        elif name == "limits":
            attempt(notes, name, lambda: transport.set_write_buffer_limits(size))
        elif name == "send":
            self.peer(notes, "peer sends", lambda: peer.send(data[:2000]))
        elif name in ("drain", "read"):
            self.peer(notes, "peer reads", lambda: _read(peer, 100 if name == "read" else 1_000_000_000))
        elif name == "shutdown":
            self.peer(notes, "peer shuts", lambda: peer.shutdown(socket.SHUT_WR))
        elif name == "peer closes":
            peer.close()

    def peer(self, notes: Notes, what: str, action: Callable[[], Any]) -> None:
        try:
            value = action()
        except OSError as e:
            value = type(e).__name__
        if self.pair is unix_pair:
            notes.append(f"{what} {value}")


def _nothing(action: Callable[[Noting], Any]) -> Callable[[Noting], None]:
    def act(protocol: Noting) -> None:
        action(protocol)

    return act


def _read(peer: socket.socket, count: int) -> str:
    """What there is, up to so many bytes: whether it was all the same is what matters, and whether it has ended."""
    got = bytearray()
    while len(got) < count:
        try:
            part = peer.recv(min(count - len(got), 1_000_000))
        except BlockingIOError:
            return "something" if got else "nothing"
        if not part:
            return f"{'something, ' if got else ''}the end"
        got += part
    return "all"


@pytest.mark.parametrize("seed", range(COUNT))
def test_random_programs(seed: int) -> None:
    both(Program(seed).scene)
