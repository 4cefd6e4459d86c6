"""A scene: some I/O played on a loop, and notes of all that a program could see of it.

`both(scene)` plays it on asyncio's own loop and then on ours, and holds the second's notes to the first's.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import gc
import os
import re
import socket
import struct
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from twins import ASYNCIO, OURS, Side, even, logged

Notes = list[str]
Scene = Callable[[Any, Notes], Awaitable[Any]]
SECONDS = 60
PRIVATE = re.compile(
    r"_Selector(?=(Socket|Datagram)Transport)|_Unix(?=(Read|Write)PipeTransport)|_(?=SSLProtocolTransport)"
)


def level(text: str) -> str:
    """Text without what differs from run to run, or names a private type."""
    text = re.sub(r"\b(fd=|[Ff]ile descriptor )\d+", r"\1N", even(text))
    text = PRIVATE.sub("", text)
    text = re.sub(
        r"(Exception in callback [\w.<>]+)\(.*\)", r"\1()", text
    )  # what it was called with depends on the version
    text = re.sub(r"(\('(?:127\.0\.0\.\d|::1)', )\d+", r"\1PORT", text)
    text = re.sub(r"/tmp/[\w./-]+", "/tmp/PATH", text)
    return re.sub(r"\bsslproto\.c:\d+|_ssl\.c:\d+", "_ssl.c", text)


def told(error: BaseException | None) -> str:
    """An exception as text."""
    if error is None:
        return "None"
    inner = getattr(error, "exceptions", None)
    words = f"{type(error).__name__}({level(str(error))})"
    return words if inner is None else f"{words} of [{', '.join(told(each) for each in inner)}]"


def play(side: Side, scene: Scene, debug: bool = False) -> Notes:
    """Run a scene on a new loop, and note what its exception handler, the log, and the collector say."""
    notes: Notes = []

    def report(loop: Any, context: dict[str, Any]) -> None:
        keys = {key for key in context if key not in ("source_traceback", "handle_traceback")}
        if "Exception in callback" in context["message"]:  # what is native has no handle: it tells the transport
            keys -= {"handle", "transport", "protocol"}
        notes.append(f"handler: {level(context['message'])}: {told(context.get('exception'))} {sorted(keys)}")

    gc.collect()
    before = open_files()
    with logged() as lines, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        loop = side.new_loop()
        loop.set_debug(debug)
        loop.set_exception_handler(report)
        try:
            loop.run_until_complete(asyncio.wait_for(_whole(loop, scene, notes), SECONDS))
        except BaseException as e:
            notes.append(f"ended by {told(e)}")
            for task in asyncio.all_tasks(loop):
                task.cancel()
        loop.run_until_complete(turns(loop))
        loop.close()
        del loop
        gc.collect()
    # Not debug lines: they tell of the loop's inner life.
    notes += [f"log: {level(line)}" for line in lines if not debug]
    notes += [f"warning: {each.category.__name__}" for each in warned if "unclosed" in str(each.message)]
    left = open_files() - before
    notes += [f"left open: {len(left)} files"] if left else []
    return notes


async def _whole(loop: Any, scene: Scene, notes: Notes) -> None:
    await scene(loop, notes)


def both(scene: Scene, debug: bool = False, apart: bool = False) -> Notes:
    """Play it on asyncio's loop and on ours, which must come to the same notes; returns them.

    `apart`: what each party notes is in order, but which of them comes first is left to chance.
    """
    expected, got = play(ASYNCIO, scene, debug), play(OURS, scene, debug)
    if apart:
        expected, got = sorted(expected, key=party), sorted(got, key=party)
    assert got == expected, "\n".join(difflib.unified_diff(expected, got, "asyncio", "ours", lineterm="", n=8))
    return expected


def party(note: str) -> str:
    """Whose note it is: a protocol's name, or nobody's."""
    name, point, _ = note.partition(".")
    return name if point and name.isalnum() else ""


def open_files() -> set[int]:
    """The descriptors of this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            os.fstat(int(name))
            found.add(int(name))
    return found


async def turns(loop: Any, count: int = 12) -> None:
    """Let whatever is ready happen: files are looked at in every turn, which a timer of no length takes care of."""
    for _ in range(count):
        done = loop.create_future()
        loop.call_later(0.0005, done.set_result, None)
        await done


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until something holds.

    Raises asyncio.TimeoutError if it doesn't within so many seconds.
    """

    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(look(), seconds)


class Noting(asyncio.Protocol):
    """A protocol that notes every call; `raising` names those that raise, `doing` maps some to what they do."""

    def __init__(self, notes: Notes, name: str = "p", raising: str = "", **doing: Callable[[Noting], Any]) -> None:
        self.notes, self.name, self.raising, self.doing = notes, name, raising, doing
        self.transport: Any = None
        self.got = bytearray()
        self.calls: list[str] = []

    def _called(self, call: str, *words: str) -> Any:
        self.calls.append(call)
        self.notes.append(" ".join((f"{self.name}.{call}", *words)))
        result = self.doing[call](self) if call in self.doing else None
        if call == self.raising:
            raise ValueError(f"from {call}")
        return result

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._called("connection_made")

    def data_received(self, data: bytes) -> None:
        self.got += data
        self._called("data_received", f"{type(data).__name__} {len(data)}")

    def eof_received(self) -> Any:
        return self._called("eof_received")

    def connection_lost(self, exc: BaseException | None) -> None:
        self._called("connection_lost", told(exc))

    def pause_writing(self) -> None:
        self._called("pause_writing")

    def resume_writing(self) -> None:
        self._called("resume_writing")

    @property
    def lost(self) -> bool:
        """Whether the connection is over."""
        return "connection_lost" in self.calls


class NotingBuffer(Noting, asyncio.BufferedProtocol):
    """The same for a protocol that has a buffer of its own, of `room` bytes."""

    room = 1000
    data_received = None  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> Any:
        self.buffer = bytearray(self.room)
        found = self._called("get_buffer", str(type(sizehint).__name__))
        return self.buffer if found is None else found

    def buffer_updated(self, nbytes: int) -> None:
        self.got += self.buffer[:nbytes]
        self._called("buffer_updated", str(nbytes))


def reset(sock: socket.socket) -> None:
    """Close a TCP socket by a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets: for a transport, non-blocking, and its peer, blocking."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        sock, _ = server.accept()
    sock.setblocking(False)
    peer.settimeout(20)
    with sock, peer:
        yield sock, peer


@contextlib.contextmanager
def unix_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The same with Unix sockets of small buffers."""
    sock, peer = socket.socketpair()
    sock.setblocking(False)
    peer.settimeout(20)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with sock, peer:
        yield sock, peer


async def connected(loop: Any, sock: socket.socket, protocol: asyncio.BaseProtocol) -> Any:
    """The transport of a socket that is connected already."""
    transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
    return transport


def attempt(notes: Notes, what: str, action: Callable[..., Any], *arguments: Any) -> Any:
    """Note what an action returns or raises, and return it."""
    try:
        value = action(*arguments)
    except Exception as e:
        notes.append(f"{what} raised {told(e)}")
        return None
    shown = "a transport" if isinstance(value, asyncio.BaseTransport) else level(repr(value))
    notes.append(f"{what} returned {shown}")
    return value


def of(notes: Notes, beginning: str) -> Notes:
    """Those notes that begin so."""
    return [note for note in notes if note.startswith(beginning)]
