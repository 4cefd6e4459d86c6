"""Workers that die while they hold what others share: a lock, a queue's slot."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from .. import tasks
from ..peers import SECONDS
from ..table import Peer, row
from ..telling import of_pool, read_flag

GOES_ON = "queue goes on, pool lives"


def _by_then(seconds: float, work: Callable[[], Any]) -> Any:
    """What a call returns or raises, or None if it is not done by then; the call is left to itself."""
    done: list[Any] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:
            done.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return done[0] if done else None


def _of_waiter(got: Any) -> str:
    if isinstance(got, Exception):
        return f"waiter is told ({type(got).__name__})"
    return "waiter gets it" if got else "waiter hangs"


@row("worker SIGKILLed while it holds a shared lock", "waiter is told (OwnerDied), pool lives")
def killed_with_lock(peer: Peer) -> str:
    lock = peer.lock()
    pool = peer(initializer=tasks.hand_over, initargs=(lock,))
    pool.outcome(pool.submit(tasks.dies_with_lock), time.monotonic() + 3)
    got = _by_then(4, lambda: lock.acquire(timeout=3))
    return f"{_of_waiter(got)}, {of_pool(pool)}"


def _queue_after_death(peer: Peer, function: Callable[..., Any], *args: Any) -> str:
    """The words for a queue, one of whose users is killed in the middle of `function`."""
    queue = peer.queue()
    pool = peer(initializer=tasks.hand_over, initargs=(queue,))
    pool.submit(function, "flag", *args)
    process = read_flag("flag")
    time.sleep(0.5)  # by now it is inside, and stays there
    os.kill(process, signal.SIGKILL)
    time.sleep(0.2)
    _by_then(3, lambda: queue.put("after"))
    until = time.monotonic() + SECONDS
    while (got := _by_then(3, lambda: queue.get(timeout=2))) != "after":
        if not isinstance(got, bytes) or time.monotonic() > until:
            return f"queue dead, {of_pool(pool)}"
    return f"queue goes on, {of_pool(pool)}"


@row("worker SIGKILLed in Queue.get", GOES_ON)
def killed_in_get(peer: Peer) -> str:
    return _queue_after_death(peer, tasks.gets)


@row("worker SIGKILLed in Queue.put, halfway through 64 MB", GOES_ON)
def killed_in_put(peer: Peer) -> str:
    return _queue_after_death(peer, tasks.puts, 64 << 20)
