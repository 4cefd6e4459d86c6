"""The programs that `rows/programs_at_fault.py` starts: `python -m fault_table.programs WHAT CLASS`.

Each says "ready" when the fault may come.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from . import peers, tasks
from .telling import began, read_flag


def _shared(peer: type[peers.Pool]) -> list[Any]:
    """A lock and a queue in use, where the peer has them."""
    with contextlib.suppress(peers.Lacks):
        things = [peer.lock(), peer.queue()]
        things[1].put(bytes(1 << 20))
        return things
    return []


def _ready(peer: type[peers.Pool], task: Callable[[str], None] | None) -> None:
    """Say so when both workers run the task, and wait to be killed."""
    shared, pool = _shared(peer), began(peer())
    flags = [f"flag-{uuid.uuid4().hex}" for _ in range(2)]
    handles = [pool.submit(task, flag) for flag in flags if task is not None]
    for flag in flags if task is not None else ():
        read_flag(flag)
    print("ready", flush=True)
    time.sleep(3600)
    del shared, handles


def interrupted(peer: type[peers.Pool]) -> int:
    """What a person writes: a pool in a `with`, tasks that run, tasks that wait, and Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pool = began(peer())
    flags = [f"flag-{uuid.uuid4().hex}" for _ in range(6)]
    try:
        with pool.native if hasattr(pool.native, "__exit__") else contextlib.nullcontext():
            handles = [pool.submit(tasks.sleeps, flag) for flag in flags]
            for flag in flags[:2]:
                read_flag(flag)
            print("ready", flush=True)
            for handle in handles:
                (handle.result if hasattr(handle, "result") else handle.get)()
    except KeyboardInterrupt:
        return 130
    return 0


def interrupted_bare(peer: type[peers.Pool]) -> int:
    """The same without a `with`: the interruption goes through the program's end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.excepthook = lambda *error: None  # what is printed is then the workers', or the pool's
    pool = began(peer())
    flags = [f"flag-{uuid.uuid4().hex}" for _ in range(6)]
    handles = [pool.submit(tasks.sleeps, flag) for flag in flags]
    for flag in flags[:2]:
        read_flag(flag)
    print("ready", flush=True)
    for handle in handles:
        (handle.result if hasattr(handle, "result") else handle.get)()
    return 0


def main(what: str, name: str) -> int:
    peer = next(each for each in peers.PEERS.values() if each.__name__ == name)
    if what.startswith("interrupted"):
        return {"interrupted": interrupted, "interrupted_bare": interrupted_bare}[what](peer)
    _ready(peer, {"idle": None, "sleeping": tasks.sleeps, "in_c": tasks.holds}[what])
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
