"""Workers that die: in a task, before it, between tasks."""

from __future__ import annotations

import os
import signal
import time

from .. import tasks
from ..memory_groups import MemoryGroup
from ..peers import SECONDS, Lacks
from ..table import Peer, Skipped, row
from ..telling import ALL_DONE, ALONE, all_done, among_others, began, of_others, settled, submitted, wait_for

DIED = ALONE.format("WorkerDied")
MB = 1 << 20


@row("worker SIGKILLed in a task", DIED)
def killed_in_task(peer: Peer) -> str:
    return among_others(began(peer()), tasks.killed)


@row("worker calls os._exit(3) in a task", DIED)
def exits_in_task(peer: Peer) -> str:
    return among_others(began(peer()), tasks.exits)


@row("worker killed by the kernel: out of memory in its cgroup", DIED)
def out_of_memory(peer: Peer) -> str:
    try:
        group = MemoryGroup(600 * MB)
    except OSError as error:
        raise Skipped(f"no memory cgroup can be made: {error}") from error
    try:
        return among_others(began(peer()), tasks.eats, "eats")
    finally:
        group.leave()


@row("worker SIGKILLed while it loads its task", DIED)
def killed_loading_task(peer: Peer) -> str:
    return among_others(began(peer()), tasks.given, tasks.DiesLoading())


@row("worker SIGKILLed while it starts, once", ALL_DONE)
def killed_starting(peer: Peer) -> str:
    pool = peer(initializer=tasks.killed_once, initargs=(os.path.abspath("flag"),))
    return all_done(pool, [submitted(pool, tasks.pause, 0.05, number) for number in range(6)])


def _without_workers(peer: Peer, initializer: object) -> str:
    """The words for a pool none of whose workers ever starts: it should say so."""
    try:
        pool = peer(initializer=initializer)
        handles = [submitted(pool, tasks.square, number) for number in range(4)]
    except Lacks:
        raise
    except Exception as error:
        return f"no pool ({type(error).__name__})"
    outcomes = settled(pool, handles, time.monotonic() + SECONDS)
    if kinds := {type(each.value).__name__ for each in outcomes if each.kind == "failed"}:
        return ", ".join(
            [f"tasks fail ({' or '.join(sorted(kinds))})", *of_others([e for e in outcomes if e.kind == "hangs"])]
        )
    return "tasks hang"


@row("every worker SIGKILLed while it starts", "tasks fail (BrokenProcessPool)")
def killed_starting_always(peer: Peer) -> str:
    return _without_workers(peer, tasks.killed)


@row("the initializer raises", "tasks fail (BrokenProcessPool)")
def initializer_raises(peer: Peer) -> str:
    return _without_workers(peer, tasks.refuses)


@row("a worker SIGKILLed between tasks", ALL_DONE)
def killed_between_tasks(peer: Peer) -> str:
    pool = began(peer())
    time.sleep(0.2)
    os.kill(pool.pids()[0], signal.SIGKILL)
    return all_done(pool, [submitted(pool, tasks.pause, 0.02, number) for number in range(20)])


@row("all workers SIGKILLed between tasks, ten times", ALL_DONE)
def all_killed_between_tasks(peer: Peer) -> str:
    pool = began(peer())
    for _ in range(10):
        time.sleep(0.1)
        before = pool.pids()
        for process in before:
            os.kill(process, signal.SIGKILL)
        words = all_done(pool, [submitted(pool, tasks.square, number) for number in range(20)])
        if words != ALL_DONE:
            return words
        wait_for(lambda before=before: pool.pids() and not set(before) & set(pool.pids()))
    return ALL_DONE
