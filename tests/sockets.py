"""What the tests of operations on sockets share: pairs of sockets, and the loops that the tests run on."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import fenshen
import pytest

Loop = asyncio.AbstractEventLoop
Main = Callable[[Loop], Awaitable[Any]]


def run_on(factory: Callable[[], Loop], main: Main, seconds: float = 30, debug: bool = False) -> Any:
    """Run a coroutine function on a new loop."""
    with contextlib.closing(factory()) as loop:
        loop.set_debug(debug)
        return loop.run_until_complete(asyncio.wait_for(main(loop), seconds))


OURS = functools.partial(run_on, fenshen.new_event_loop)
THEIRS = functools.partial(run_on, asyncio.SelectorEventLoop)

# On our loop, and on asyncio's: what both must do alike.
both = pytest.mark.parametrize("run", [OURS, THEIRS], ids=["fenshen", "asyncio"])
# On our loop.
ours = pytest.mark.parametrize("run", [OURS], ids=["fenshen"])


@contextlib.contextmanager
def pair(kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected Unix sockets, both non-blocking."""
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    with a, b:
        a.setblocking(False)
        b.setblocking(False)
        yield a, b


@contextlib.contextmanager
def tcp(family: socket.AddressFamily = socket.AF_INET) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets, both non-blocking."""
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.create_server((host, 0), family=family) as server, socket.socket(family) as a:
        a.connect(server.getsockname())
        b, _ = server.accept()
        with b:
            a.setblocking(False)
            b.setblocking(False)
            yield a, b


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def asleep(task: asyncio.Task[Any]) -> None:
    """Let a task come to its wait, and the loop to its files."""
    await turns()
    await asyncio.sleep(0.01)
    assert not task.done()


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
