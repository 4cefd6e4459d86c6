"""What became of a fault, in a few words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import tasks
from .peers import SECONDS, Outcome, Pool

LIVES = "pool lives"
ALONE = "task fails ({}), pool lives"
ALL_DONE = "no task lost, pool lives"


def began(pool: Pool) -> Pool:
    """A pool that has its workers: each has run a task."""
    for handle in [pool.submit(tasks.pause, 0.1) for _ in range(4)]:
        outcome = pool.outcome(handle, time.monotonic() + SECONDS)
        if outcome.kind != "done":
            raise RuntimeError(f"the pool does not work to begin with: {outcome}")
    return pool


def wait_for(condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """What a condition says when it comes true; RuntimeError if it does not."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > until:
            raise RuntimeError(f"waited {seconds} s for {condition}")
        time.sleep(0.005)
    return value


def read_flag(flag: str) -> int:
    """The process that a task's `present(flag)` speaks of, waited for."""
    return int(wait_for(lambda: os.path.exists(flag) and Path(flag).read_text()))


def of_victim(outcome: Outcome) -> str:
    """The words for the task that the fault was done to."""
    if outcome.kind == "failed":
        return f"task fails ({type(outcome.value).__name__})"
    return "task hangs" if outcome.kind == "hangs" else "task done"


def of_others(outcomes: Sequence[Outcome]) -> list[str]:
    """The words for the tasks that the fault had nothing to do with; none if they are done."""
    found = []
    for kind, word in (("failed", "lost"), ("hangs", "hang")):
        if count := sum(each.kind == kind for each in outcomes):
            found.append(f"{count} {'others' if count > 1 else 'other'} {word}")
    return found


def of_pool(pool: Pool) -> str:
    """Whether the pool goes on: whether it runs four more tasks."""
    until = time.monotonic() + SECONDS
    try:
        outcomes = [pool.outcome(pool.submit(tasks.square, number), until) for number in range(4)]
    except Exception:
        return "pool broken"
    if any(each.kind == "hangs" for each in outcomes):
        return "pool hangs"
    return LIVES if outcomes == [Outcome("done", number * number) for number in range(4)] else "pool broken"


def submitted(pool: Pool, function: Callable[..., Any], *args: Any) -> Any:
    """A submission whose failure is the task's outcome."""
    try:
        return pool.submit(function, *args)
    except Exception as error:
        return Outcome("failed", error)


def settled(pool: Pool, handles: Sequence[Any], until: float) -> list[Outcome]:
    """The outcomes of submitted tasks."""
    return [each if isinstance(each, Outcome) else pool.outcome(each, until) for each in handles]


def verdict(pool: Pool, victim: Any, others: Sequence[Any]) -> str:
    """The words for a fault done to one task among others."""
    first, *rest = settled(pool, [victim, *others], time.monotonic() + SECONDS)
    return ", ".join([of_victim(first), *of_others(rest), of_pool(pool)])


def among_others(pool: Pool, function: Callable[..., Any], *args: Any) -> str:
    """Submit a task that bears a fault among six that do not, and say what became of them all."""
    others = [pool.submit(tasks.pause, 0.2, number) for number in range(2)]
    victim = submitted(pool, function, *args)
    others += [submitted(pool, tasks.pause, 0.05, number) for number in range(4)]
    return verdict(pool, victim, others)


def all_done(pool: Pool, handles: Sequence[Any]) -> str:
    """The words for a fault that no task should be lost by."""
    outcomes = settled(pool, handles, time.monotonic() + SECONDS)
    lost, hang = (sum(each.kind == kind for each in outcomes) for kind in ("failed", "hangs"))
    words = [f"{lost} lost"] * bool(lost) + [f"{hang} hang"] * bool(hang)
    return ", ".join([" and ".join(words) if words else "no task lost", of_pool(pool)])
