"""What the workers run. Everything here is found by name in a worker of any start method."""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

held: Any = None  # what the initializer handed over: a lock or a queue


def square(number: int) -> int:
    return number * number


def pause(seconds: float, number: int = 0) -> int:
    time.sleep(seconds)
    return number


def own_pid(seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return os.getpid()


def length(data: bytes) -> int:
    return len(data)


def zeros(size: int) -> bytes:
    return bytes(size)


def logs(number: int) -> int:
    logging.getLogger("fault_table").warning("task %d", number)
    return number


def present(flag: str) -> None:
    """Tell whoever waits for the file which process has come this far."""
    partial = f"{flag}.{os.getpid()}"
    Path(partial).write_text(str(os.getpid()))
    os.replace(partial, flag)


# deaths


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exits(status: int = 3) -> None:
    os._exit(status)


def eats(flag: str) -> None:
    """Take memory until the kernel says no; first in the line for it."""
    Path("/proc/self/oom_score_adj").write_text("1000")
    present(flag)
    taken = [b"x" * (16 << 20) for _ in range(200)]
    raise AssertionError(f"{len(taken)} pieces of 16 MB fit")


def killed_once(flag: str) -> None:
    """An initializer that ends the first worker that runs it."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        killed()


def refuses() -> None:
    """An initializer that raises."""
    raise OSError("no connection")


# endless


def spins(flag: str) -> None:
    present(flag)
    while True:
        pass


def holds(flag: str) -> None:
    """Hold the interpreter in C, where no signal handler of Python's ever runs."""
    present(flag)
    collections.deque(itertools.repeat(0), maxlen=0)


def sleeps(flag: str) -> None:
    present(flag)
    time.sleep(3600)


# locks and queues


def hand_over(thing: Any) -> None:
    """The initializer that lets tasks use a lock or a queue, which the standard library allows by inheritance only."""
    global held
    held = thing


def dies_with_lock() -> None:
    held.acquire()
    killed()


def gets(flag: str) -> Any:
    present(flag)
    return held.get()


def puts(flag: str, size: int) -> None:
    present(flag)
    held.put(bytes(size))
    time.sleep(3600)


# pickling


class RefusesPickling:
    def __reduce__(self) -> Any:
        raise TypeError("this cannot be pickled")


class RefusesLoading:
    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise ImportError("this cannot be loaded")


class DiesLoading:
    """Ends the process that loads it, unless that is the one that made it."""

    def __init__(self) -> None:
        self.maker = os.getpid()

    def __reduce__(self) -> Any:
        return _die, (self.maker,)


def _die(maker: int) -> None:
    if os.getpid() != maker:
        killed()


class NeedsTwo(Exception):
    """Pickles, and cannot be loaded: what `Exception.__reduce__` remembers is one argument, and two are needed."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


class RefusesPicklingError(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("this exception cannot be pickled")


def returns(kind: type) -> Any:
    return kind()


def raises_needs_two() -> None:
    raise NeedsTwo("one", "two")


def raises_unpicklable() -> None:
    raise RefusesPicklingError("no")


def given(thing: Any) -> str:
    return type(thing).__name__


# limits


def limit_memory(more: int) -> None:
    """Let this process grow by so many bytes and no further."""
    with open("/proc/self/statm") as pages:
        now = int(pages.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, resource.getrlimit(resource.RLIMIT_AS)[1]))


def reads_stdin() -> str:
    """What a task finds on standard input; nothing, and no error, whatever became of it."""
    return "" if sys.stdin is None or sys.stdin.closed else sys.stdin.read()
