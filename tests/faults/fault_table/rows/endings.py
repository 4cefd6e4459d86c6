"""Tasks that never end, and what ends them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .. import tasks
from ..peers import Lacks, Pool
from ..table import Peer, row
from ..telling import ALONE, began, of_others, of_pool, of_victim, read_flag, settled, submitted, verdict

TIMED_OUT = ALONE.format("TimeoutError")
LIMIT = 20  # a peer that cannot end them spins until then
CANCELLED = ALONE.format("CancelledError")


def _timed_out(peer: Peer, function: Callable[..., Any]) -> str:
    pool = began(peer())
    victim = pool.submit_limited(1.0, function, "flag")
    read_flag("flag")
    return verdict(pool, victim, [submitted(pool, tasks.pause, 0.05, number) for number in range(4)])


def _cancelled(peer: Peer, function: Callable[..., Any]) -> str:
    if not peer.cancels:
        raise Lacks("cancellation")
    pool = began(peer())
    victim = pool.submit(function, "flag")
    read_flag("flag")
    others = [submitted(pool, tasks.pause, 0.05, number) for number in range(4)]
    return verdict(pool, victim, others) if pool.cancel(victim) else _refused(pool, others)


def _refused(pool: Pool, others: list[Any]) -> str:
    return ", ".join(["task runs on", *of_others(settled(pool, others, time.monotonic() + 4)), of_pool(pool)])


@row("endless task with timeout=1", TIMED_OUT, LIMIT)
def endless_timeout(peer: Peer) -> str:
    return _timed_out(peer, tasks.spins)


@row("endless task in C, holding the interpreter, with timeout=1", TIMED_OUT, LIMIT)
def endless_in_c_timeout(peer: Peer) -> str:
    return _timed_out(peer, tasks.holds)


@row("endless task, then cancel()", CANCELLED, LIMIT)
def endless_cancel(peer: Peer) -> str:
    return _cancelled(peer, tasks.spins)


@row("endless task in C, holding the interpreter, then cancel()", CANCELLED, LIMIT)
def endless_in_c_cancel(peer: Peer) -> str:
    return _cancelled(peer, tasks.holds)


@row("100 endless tasks cancelled, one after the other", CANCELLED)
def cancelled_often(peer: Peer) -> str:
    if not peer.cancels:
        raise Lacks("cancellation")
    pool = began(peer())
    for number in range(100):
        flag = f"flag{number}"
        victim = pool.submit(tasks.sleeps, flag)
        read_flag(flag)
        if not pool.cancel(victim):
            return _refused(pool, [])
        outcome = pool.outcome(victim, time.monotonic() + 5)
        if of_victim(outcome) not in CANCELLED:
            return f"{of_victim(outcome)} at the {number + 1}th, {of_pool(pool)}"
    return f"{of_victim(outcome)}, {of_pool(pool)}"
