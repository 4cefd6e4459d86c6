"""What fits a function that a pool of processes called.

The work is the time that its calls took in the workers, less the time in which these had no processor. Against it
stands the time to move arguments and results: CPU time of pickling, copying and loading, on both sides. The rest of
what a task costs, above all waking the other side, is not measured, but is known to be tens of microseconds: therefore
a task that is shorter than SMALL is told to be small.
"""

from __future__ import annotations

import math

from fenshen.advice.remote import Remote
from fenshen.advice.verdict import SHORTEST, SURELY, WORTH, Verdict
from fenshen.advice.words import counted, time

# A task with less work than this, in seconds, is too small for its way to a worker and back.
SMALL = 200e-6
# A task of this length, in seconds, is not.
ENOUGH = 2e-3
# From so many bytes for each call on, moving is a matter of the bytes, and not of the number of tasks.
HEAVY = 64 << 10


def judge(remote: Remote, cpus: float, lock: str) -> Verdict:
    """The verdict on one function; its kind is one of "few", "dear", "waits", "small", "crowded", "fits"."""
    if not remote.tasks or remote.own + remote.moving < SHORTEST:
        return _few(remote)
    if remote.moving >= remote.own:
        return _dear(remote)
    share = f"CPU {remote.cpu_share:.0%} of its own time"
    if remote.cpu_share <= 1 - SURELY:
        return Verdict("waits", f"waits ({share})", "no process is needed to wait: threads, or tasks, would do")
    computes = f"CPU-bound ({share})" if remote.cpu_share >= SURELY else f"mixed: it computes and waits ({share})"
    size = chunk_size(remote)
    if remote.own / remote.tasks < SMALL and size > remote.chunk:
        told = f"{computes}, but too little in each task: {time(remote.own / remote.tasks)} of work"
        return Verdict("small", told, _larger(size))
    most = math.ceil(cpus)
    if remote.cpu_share >= SURELY and remote.at_once > most:
        told = f"{computes}, in {counted(remote.workers, 'worker')} for {cpus:.3g} CPU{'' if cpus == 1 else 's'}"
        return Verdict("crowded", told, f"take {counted(most, 'worker')}: more of them only take turns")
    return Verdict("fits", computes, _fits(remote, lock))


def chunk_size(remote: Remote) -> int:
    """How many calls to send in each task, so that it is not small: as many as take ENOUGH, but some tasks for each
    worker are left, so that all of them end at about the same time.
    """
    each = remote.own / max(remote.calls, 1)
    return max(1, min(math.ceil(ENOUGH / max(each, 1e-9)), remote.calls // (4 * max(remote.workers, 1))))


def _few(remote: Remote) -> Verdict:
    if not remote.tasks:
        return Verdict("few", "not enough evidence: no call has come back", "run it until some have")
    took = f"{counted(remote.calls, 'call')} with {time(remote.own)} of work, and {time(remote.moving)} to move it"
    return Verdict("few", f"not enough evidence: {took}", "run it longer, or on more data")


def _dear(remote: Remote) -> Verdict:
    each = remote.calls
    told = (
        f"moving it costs more than the work: {time(remote.moving / each)} for {time(remote.own / each)} in each call"
    )
    if remote.size >= HEAVY:
        advice = (
            "run it here, or in threads, which moves nothing; or have the data in shared memory (fenshen.shared_array)"
        )
        return Verdict("dear", told, advice)
    size = chunk_size(remote)
    if size > 2 * remote.chunk:
        return Verdict("dear", told, f"run it here, or {_larger(size)}")
    return Verdict("dear", told, "run it here")


def _larger(size: int) -> str:
    return f"make more calls in each task: map(..., chunksize={size}), or a function that makes several"


def _fits(remote: Remote, lock: str) -> str:
    advice = "processes fit"
    if lock == "none":
        advice = "processes fit, and so would threads: there is no interpreter lock"
    if remote.at_once < 2:
        why = "it was one task"
        if remote.tasks > 1:
            why = "its calls never overlapped" if remote.workers > 1 else "there was one worker"
        return f"{advice}; nothing ran beside it, as {why}"
    if remote.span > remote.own:
        return f"{advice}, with more of it: {time(remote.own)} of work took {time(remote.span)}"
    faster = remote.own / max(remote.span, 1e-9)
    return f"{advice}; {faster:.1f} times as fast as one call after the other" if faster >= WORTH else advice
