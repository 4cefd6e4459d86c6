"""The processes that this one has started, and theirs: what they cost, what they weigh, and their end."""

import contextlib
import ctypes
import os
import pathlib
import resource
import signal
import time
from collections.abc import Iterator

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
PROC = pathlib.Path("/proc")


def parents() -> dict[int, int]:
    """Each process's parent."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def descendants() -> list[int]:
    """Children, their children, and so on."""
    children: dict[int, list[int]] = {}
    for process, parent in parents().items():
        children.setdefault(parent, []).append(process)

    def below(process: int) -> Iterator[int]:
        for child in children.get(process, []):
            yield child
            yield from below(child)

    return list(below(os.getpid()))


def cpu() -> float:
    """Seconds of CPU of this process and all its descendants, those that it has waited for too.

    The kernel's clock of another process has the number that `clock_getcpuclockid` would give it.
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for process in descendants():
        with contextlib.suppress(OSError):
            total += time.clock_gettime(~process << 3 | 2)
    return total


def memory(process: int) -> int:
    """Bytes of a process, what is shared counted by its share; 0 where it has ended."""
    with contextlib.suppress(OSError):
        for row in (PROC / str(process) / "smaps_rollup").read_text().splitlines():
            if row.startswith("Pss:"):
                return int(row.split()[1]) * 1024
    return 0


def adopt() -> None:
    """From now on a descendant whose parent ends is a child of this process, so that none is out of sight."""
    ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)


def reap() -> list[int]:
    """Waits for children that have ended; gives the descendants that have not."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return descendants()


def end_all(grace: float = 0.0) -> None:
    """Ends and waits for every descendant, `grace` seconds from now: some clean up after those that they watch.

    For a process that has adopted them.
    """
    late = time.monotonic() + grace
    while (found := reap()) and time.monotonic() < late:
        time.sleep(0.005)
    while found:
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0):
                pass
        found = descendants()
