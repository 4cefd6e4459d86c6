"""What workers do in the tests of `fenshen._launch`: importable, as a spawned process needs it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time


def tell(*args: object, fds: list[int]) -> None:
    """Write what a worker sees of itself into the first descriptor."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    me = multiprocessing.current_process()
    seen = {
        "args": args,
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "parent": (parent.pid, parent.name, parent.is_alive()),
        "name": me.name,
        "identity": me._identity,
        "daemon": me.daemon,
        "authkey": bytes(me.authkey),
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "sigint": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "children": multiprocessing.active_children(),
    }
    os.write(fds[0], repr(seen).encode())


def exit_with(code: object) -> None:
    """End as `sys.exit(code)` does."""
    sys.exit(code)  # type: ignore[arg-type]


def fail() -> None:
    """End by an exception."""
    raise LookupError("nothing there")


def leave(code: int) -> None:
    """End at once."""
    os._exit(code)


def sleep() -> None:
    """Live until somebody ends it."""
    time.sleep(600)


def hold_the_interpreter(fds: list[int]) -> None:
    """Say that it runs, and compute where no other thread and no signal handler ever gets the interpreter."""
    os.write(fds[0], b".")
    os.close(fds[0])
    sum(range(10**15))


def say(text: str, fds: list[int]) -> None:
    """Write a text."""
    os.write(fds[0], text.encode())


def print_late(text: str) -> None:
    """Leave it to the end of the process to write it."""
    sys.stdout.write(text)


STATE = "as imported"


def tell_state(fds: list[int]) -> None:
    """What the module's state is in the worker."""
    os.write(fds[0], STATE.encode())


def end_late(fds: list[int]) -> None:
    """Have a finalizer of multiprocessing run at the end."""
    multiprocessing.util.Finalize(None, os.write, args=(fds[0], b"finalized"), exitpriority=1)
