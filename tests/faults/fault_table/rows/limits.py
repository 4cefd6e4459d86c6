"""Limits of the machine: standard input closed, disk, memory, descriptors."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import tempfile
import time

from .. import tasks
from ..peers import Pool
from ..places import SHM, full
from ..table import Peer, Skipped, row
from ..telling import ALL_DONE, ALONE, all_done, among_others, began, of_pool, settled, submitted, verdict, wait_for

MB = 1 << 20


@row("standard input closed", ALL_DONE)
def stdin_closed(peer: Peer) -> str:
    os.close(0)
    pool = peer()
    return all_done(pool, [submitted(pool, tasks.reads_stdin) for _ in range(4)])


@row("disk full: /dev/shm and the folder for temporary files", ALL_DONE)
def disk_full(peer: Peer) -> str:
    try:
        os.mkdir("full")
        full(os.path.abspath("full"))
        full(SHM)
    except OSError as error:
        raise Skipped(f"nothing can be mounted: {error}") from error
    tempfile.tempdir = os.environ["TMPDIR"] = os.path.abspath("full")
    try:
        pool = peer()
        handles = [submitted(pool, tasks.length, bytes(8 * MB)) for _ in range(4)]
        handles += [submitted(pool, tasks.zeros, 8 * MB) for _ in range(4)]
        return all_done(pool, handles)
    except OSError as error:
        return f"no pool ({type(error).__name__})"


@contextlib.contextmanager
def _short_of_memory(more: int) -> contextlib.AbstractContextManager:
    before = resource.getrlimit(resource.RLIMIT_AS)
    tasks.limit_memory(more)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@row("memory full where a task runs", ALONE.format("NotLoaded"))
def memory_full_in_worker(peer: Peer) -> str:
    pool = began(peer(initializer=tasks.limit_memory, initargs=(100 * MB,)))
    return among_others(pool, tasks.length, bytes(400 * MB))


@row("memory full where the result arrives", ALONE.format("MemoryError"))
def memory_full_in_program(peer: Peer) -> str:
    pool = began(peer())
    victim = pool.submit(tasks.zeros, 400 * MB)
    others = [submitted(pool, tasks.pause, 0.05, number) for number in range(4)]
    with _short_of_memory(150 * MB):
        return verdict(pool, victim, others)


@contextlib.contextmanager
def _no_descriptors() -> contextlib.AbstractContextManager:
    """Not one more descriptor is to be had in this process."""
    taken = [os.open(os.devnull, os.O_RDONLY)]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, before[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(taken[0]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for each in taken:
            os.close(each)


@row("no descriptor left when the pool is made", "says so (OSError), next pool lives")
def descriptors_out_at_start(peer: Peer) -> str:
    with _no_descriptors():
        try:
            pool = peer()
            [outcome] = settled(pool, [submitted(pool, tasks.square, 3)], time.monotonic() + 5)
        except Exception as error:
            words = f"says so ({_family(error)})"
        else:
            words = f"says so ({_family(outcome.value)})" if outcome.kind == "failed" else f"task {outcome.kind}"
    return f"{words}, next {of_pool(peer())}"


def _family(error: BaseException) -> str:
    return "OSError" if isinstance(error, OSError) else type(error).__name__


def _busy(pool: Pool) -> str:
    """More to do than one worker can: a pool may well start the second only then."""
    return all_done(pool, [submitted(pool, tasks.pause, 0.05) for _ in range(4)])


@row("no descriptor left while the pool runs, and a worker SIGKILLed", ALL_DONE)
def descriptors_out_while_running(peer: Peer) -> str:
    pool = began(peer())
    with _no_descriptors():
        handles = [submitted(pool, tasks.pause, 0.02, number) for number in range(10)]
        settled(pool, handles, time.monotonic() + 5)
        os.kill(pool.pids()[0], signal.SIGKILL)
        time.sleep(0.1)
        handles += [submitted(pool, tasks.pause, 0.02, number) for number in range(10)]
        settled(pool, handles, time.monotonic() + 5)
    words = all_done(pool, handles)
    if words != ALL_DONE:
        return words
    with contextlib.suppress(RuntimeError):
        wait_for(
            lambda: all_done(pool, [pool.submit(tasks.pause, 0.05) for _ in range(4)]) and len(pool.pids()) == 2, 5
        )
        return words
    return f"{words}, a worker fewer for ever"
