"""Who belongs to a cell: its processes bear a mark in their environment, which every child inherits."""

from __future__ import annotations

import contextlib
import os
import signal
import time

MARK = "FENSHEN_FAULT_MARK"
# The second mark of a program that a cell starts: by the first it goes with the cell.
INNER = "FENSHEN_FAULT_MARK_OF_PROGRAM"


def marked(mark: str) -> list[int]:
    """The ids of the living processes that bear the mark."""
    wanted = {f"{name}={mark}".encode() for name in (MARK, INNER)}
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as environment:
                if not wanted.isdisjoint(environment.read().split(b"\0")):
                    found.append(int(name))
    return found


def left_over(mark: str, seconds: float) -> list[int]:
    """Those who are still alive after so many seconds."""
    until = time.monotonic() + seconds
    while (alive := marked(mark)) and time.monotonic() < until:
        time.sleep(0.02)
    return alive


def end(mark: str) -> None:
    """Kill them all; who dies may just have had a child, so until none is left."""
    while alive := marked(mark):
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def named(process: int) -> str:
    """A process as a report calls it."""
    try:
        with open(f"/proc/{process}/cmdline", "rb") as line:
            return f"{process}: " + line.read().replace(b"\0", b" ").decode(errors="replace")[:150]
    except OSError:
        return f"{process}: gone"
