"""What kind of work a function does, and what fits it.

The kind is told from the function's own time: what it would take alone, without the waits for the interpreter lock and
for a CPU that others cause. A share of SURELY or more decides; where the measurements leave room for another kind, the
verdict is that there is not enough evidence.

# The expected speed-up
For work that would move to processes, the time with at least one call running, as measured, is divided by what it
cannot be less than with p = min(usable CPUs, calls at once): the CPU time of all calls on p CPUs; the own time of all
calls, as many at once as there were; the longest call. The time to pickle arguments and results, which one process does
for all, is added. The start of the workers is not in it, nor that two CPUs may be slower than twice one.
"""

from __future__ import annotations

from typing import NamedTuple

from fenshen.advice import pickling
from fenshen.advice.evidence import FEWEST, Evidence
from fenshen.advice.functions import Function
from fenshen.advice.words import time

# A share of the own time that tells the kind.
SURELY = 0.7
# Measured for less than this, in seconds, or looked at less often than FEWEST, nothing is told.
SHORTEST = 0.05
# More doubt about a share than this is too much.
DOUBT = 0.3
# A step that holds the event loop for so long, in seconds, is worth a word.
HOLDS = 0.05
# Less than this is no speed-up to speak of.
WORTH = 1.15


class Verdict(NamedTuple):
    """The kind, one of "few", "waits", "threads", "holding", "under", "outside", "both", "mixed", "awaits"; what is
    told of it; what fits; and how many times as fast that is, if anything is expected.
    """

    kind: str
    told: str
    advice: str
    speedup: float | None = None


def judge(function: Function, number: int, evidence: Evidence, cpus: float, lock: str) -> Verdict:
    """The verdict on one function; `lock` is what is known of the interpreter lock (see `_fenshen.advise_start`)."""
    if function.way == "task":
        return _of_task(number, evidence, cpus, lock)
    found = kind(evidence, lock)
    if found == "few":
        return _few(evidence)
    share = f"{evidence.cpu / max(evidence.own, 1e-9):.0%} of its own time"
    if found == "outside":
        return Verdict(found, f"CPU-bound outside the interpreter lock ({share})", _more_threads(evidence, cpus, lock))
    if found == "waits":
        return Verdict(found, f"I/O-bound (CPU {share})", _fine(evidence))
    if found == "threads":
        return Verdict(found, f"waits for other threads, for a queue or a lock (CPU {share})", "threads are right")
    told = {
        "holding": f"sleeps while it holds the interpreter lock, and all threads with it (CPU {share})",
        "under": f"CPU-bound under the interpreter lock ({share})",
        "both": f"CPU-bound, {evidence.under_lock[0]:.0%} of it under the interpreter lock ({share})",
        "mixed": f"mixed: it computes for {share}, {evidence.under_lock[0]:.0%} of that under the interpreter lock",
    }[found]
    return _processes(found, told, function, number, evidence, cpus)


def kind(evidence: Evidence, lock: str) -> str:
    """The kind of work that threads did for a function; "few" where it can't be told."""
    if evidence.busy < SHORTEST or evidence.seen < FEWEST:
        return "few"
    least, most = evidence.cpu_share
    if most - least > DOUBT or evidence.looks["unclear"] > evidence.seen:
        return "few"
    if most <= 1 - SURELY:
        return _of_idle(evidence)
    if lock == "none":
        return "outside" if least >= SURELY else "mixed"
    under, doubt = evidence.under_lock
    if lock != "known" or doubt > DOUBT / 2:
        return "few"
    if least < SURELY:
        return "mixed" if under > 1 - SURELY else _of_idle(evidence)
    return "under" if under >= SURELY else "outside" if under <= 1 - SURELY else "both"


def _of_idle(evidence: Evidence) -> str:
    idle = evidence.idle
    most = max(idle, key=lambda kind: idle[kind])
    return {"sleeps": "waits"}.get(most, most)


def speedup(number: int, evidence: Evidence, cpus: float, now: float) -> float:
    """How many times as fast the work would be in processes; `now` is the time that it takes as it is."""
    at_once = max(evidence.peak, 1)
    if evidence.cpu > evidence.own / 2:  # exact, where the other is stretched by what it waited for the lock
        longest = evidence.longest_cpu * evidence.own / evidence.cpu
    else:
        longest = evidence.longest * evidence.own / max(evidence.busy, 1e-9)
    least = max(
        evidence.cpu / max(min(cpus, at_once), 1.0),
        evidence.own / at_once,
        min(longest, evidence.own),
    )
    least += pickling_seconds(number) * evidence.calls
    if evidence.busy:  # what others' load took is no part of what changes
        now *= 1 - evidence.starved / evidence.busy
    now = max(now, evidence.cpu * evidence.under_lock[0])  # which one thread after the other has had
    return min(now / max(least, 1e-9), max(cpus, 1.0))


def pickling_seconds(number: int) -> float:
    """The time to pickle one call's arguments and result and to load them: about twice that of pickling."""
    weights = pickling.weights(number)
    return 2 * sum(weight.seconds for weight in weights) / len(weights) if weights else 0.0


def _few(evidence: Evidence) -> Verdict:
    told = f"not enough evidence: {evidence.seen} looks in {time(evidence.busy)} of work do not tell what kind it is"
    return Verdict("few", told, "run it longer, or on more data")


def _more_threads(evidence: Evidence, cpus: float, lock: str) -> str:
    why = "there is no interpreter lock" if lock == "none" else "others run meanwhile"
    if evidence.peak < cpus:
        return f"threads are right, {why}; {evidence.peak} ran at once, and there are CPUs for {cpus:.3g}"
    return f"threads are right, {why}"


def _fine(evidence: Evidence) -> str:
    if evidence.peak >= 32:
        return f"threads are right; asyncio would wait for all {evidence.peak} at once without a thread for each"
    return "threads are right, and so would asyncio be"


def _processes(found: str, told: str, function: Function, number: int, evidence: Evidence, cpus: float) -> Verdict:
    faster = speedup(number, evidence, cpus, evidence.span)
    if faster >= WORTH:
        where = "concurrent.futures.ProcessPoolExecutor" if function.way == "pool" else "multiprocessing.Process"
        return Verdict(found, told, f"use processes ({where})", faster)
    if cpus < 2:
        why = f"there is {cpus:.3g} CPU to use"
    elif evidence.peak < 2:
        why = "its calls never overlapped" if evidence.calls > 1 else "it was called once"
    else:
        why = "its calls are too uneven, or too dear to pickle"
    return Verdict(found, told, f"nothing is gained by processes as it is used now: {why}", 1.0)


def _of_task(number: int, evidence: Evidence, cpus: float, lock: str) -> Verdict:
    mean = evidence.busy / max(evidence.steps, 1)
    if evidence.longest_step < HOLDS:
        if evidence.wall < SHORTEST:
            return _few(evidence)
        told = f"awaits: its steps take {time(mean)} in the mean, the longest {time(evidence.longest_step)}"
        return Verdict("awaits", told, "a task is right")
    holds = f"holds the event loop, for {time(evidence.longest_step)} in one step"
    found = kind(evidence, lock)
    if found == "few":
        return Verdict("few", f"{holds}; not enough evidence of what it does there", "run it longer, or on more data")
    if found in ("waits", "threads"):
        faster = min(evidence.peak, evidence.busy / max(evidence.longest_step, 1e-9))
        advice = "wait in a thread (await asyncio.to_thread(...)), or await what asyncio offers for it"
        return Verdict(found, f"{holds}, waiting for something", advice, max(faster, 1.0))
    faster = speedup(number, evidence, cpus, evidence.busy)
    if found == "outside":
        advice = "compute in a thread: await asyncio.to_thread(...)"
        return Verdict(found, f"{holds}, computing outside the interpreter lock", advice, faster)
    under = f"{evidence.under_lock[0]:.0%} of it under the interpreter lock"
    advice = "compute in a process: await loop.run_in_executor(ProcessPoolExecutor(), ...)"
    return Verdict(found, f"{holds}, computing ({under})", advice, faster)
