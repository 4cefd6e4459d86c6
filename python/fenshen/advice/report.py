"""The report."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from fenshen.advice import evidence as measured
from fenshen.advice import pickling
from fenshen.advice.evidence import Evidence
from fenshen.advice.functions import Function, function, is_own
from fenshen.advice.machine import cpus
from fenshen.advice.remote_report import RemoteRow
from fenshen.advice.verdict import WORTH, Verdict, judge
from fenshen.advice.words import counted, seconds, size

# So many functions are told of, those that took the most time.
MOST = 20
_WAYS = {"thread": "in threads", "pool": "in a thread pool", "task": "in tasks"}

# What is known of the interpreter lock.
lock = "unknown"


class _Row:
    __slots__ = ("evidence", "function", "number", "verdict")

    def __init__(self, number: int, counts: Any, usable: float) -> None:
        self.number = number
        self.function: Function = function(number, counts[0])
        self.evidence: Evidence = measured.read(counts)
        self.verdict: Verdict = judge(self.function, number, self.evidence, usable, lock)

    @property
    def time(self) -> float:
        """What it is sorted by."""
        return max(self.evidence.busy, self.evidence.span)

    @property
    def is_hog(self) -> bool:
        """Whether it keeps others from the interpreter lock."""
        return self.verdict.kind in ("holding", "under", "both", "mixed")

    def lines(self, hogs: Sequence[str]) -> list[str]:
        """What is told of it; `hogs` are the functions that keep others from the interpreter lock."""
        return _lines(self, [name for name in hogs if name != self.function.name])


def text(counts: Sequence[Any], remote: Sequence[Any] = (), *, child: bool = False) -> str:
    """The report's text, from `_fenshen.advise_counts` and `advise_remote_counts`; empty for a child process with
    nothing to tell.
    """
    usable = cpus()
    own = [_Row(number, row, usable) for number, row in enumerate(counts) if row[1][0] and not is_own(row[0])]
    own = [row for row in own if row.function.way != "process"]
    rows: list[_Row | RemoteRow] = [*own, *(RemoteRow(row, usable, lock) for row in remote)]
    rows.sort(key=lambda row: -row.time)
    if not rows:
        return "" if child else "advice: nothing was handed to a thread, a pool or a task"
    lines = [_head(own, usable)]
    hogs = [row.function.name for row in own if row.is_hog]
    for row in rows[:MOST]:
        lines += row.lines(hogs)
    if len(rows) > MOST:
        lines.append(f"  and {len(rows) - MOST} more that took less time")
    return "\n".join(lines)


def _head(rows: list[_Row], usable: float) -> str:
    looked = f", {sum(row.evidence.seen for row in rows)} looks at its threads" if rows else ""
    who = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c") else "the program"
    known = "" if lock in ("known", "none") or not rows else "; where the interpreter lock is could not be learned"
    machine = f"{usable:.3g} CPU{'' if usable == 1 else 's'} to use{looked}{known}"
    return f"advice for {who} (process {os.getpid()}, {machine}):"


def _lines(row: _Row, hogs: list[str]) -> list[str]:
    place = f" ({row.function.place})" if row.function.place else ""
    lines = [f"  {row.function.name}{place}, {_WAYS[row.function.way]}"]
    lines.append("    " + _measured(row.function, row.evidence))
    lines.append("    " + row.verdict.told)
    lines.append("    " + row.verdict.advice + _expected(row.verdict))
    if row.is_hog and (row.verdict.speedup or 0) >= WORTH:
        lines += ["    " + line for line in _sent(row)]
    if hogs and row.verdict.kind in ("few", "waits", "threads", "outside", "awaits") and _is_kept_waiting(row.evidence):
        lines.append(f"    its waits for the interpreter lock are due to others: {', '.join(hogs[:3])}")
    return lines


def _measured(function: Function, evidence: Evidence) -> str:
    what = "task" if function.way == "task" else "call"
    calls = counted(evidence.calls, what)
    if evidence.calls > 1:
        calls += f" ({evidence.peak} at once)"
    if evidence.running:
        calls += f", {evidence.running} of them not ended"
    steps = f"{seconds(evidence.busy)} in {evidence.steps} steps, " if function.way == "task" else ""
    waited = "waiting for the interpreter lock: "
    if not evidence.seen:
        waited += "not seen"
    elif lock == "none":
        waited = "no interpreter lock"
    else:
        waited += f"{seconds(evidence.lock_wait)} ± {seconds(min(evidence.lock_error, evidence.busy))}"
    return f"{calls}; wall {seconds(evidence.wall)}, {steps}CPU {seconds(evidence.cpu)}, {waited}"


def _expected(verdict: Verdict) -> str:
    if verdict.speedup is None:
        return ""
    return f"; expected speed-up up to {verdict.speedup:.1f}x" if verdict.speedup >= WORTH else ""


def _sent(row: _Row) -> list[str]:
    refused = pickling.refusal(row.number)
    if refused is not None:
        return [f"but it does not pickle: {refused.path} ({refused.kind}): {refused.why}"]
    weights = pickling.weights(row.number)
    if not weights:
        return ["what would be pickled for it was not seen"]
    count = len(weights)
    arguments = sum(weight.arguments for weight in weights) / count
    results = sum(weight.result for weight in weights) / count
    calls = counted(count, "call")
    return [f"pickled for each call: {_size(arguments)} to send, {_size(results)} to return (seen in {calls})"]


def _is_kept_waiting(evidence: Evidence) -> bool:
    return evidence.lock_wait - evidence.lock_error > 0.1 * evidence.busy


def _size(count: float) -> str:
    return f"over {pickling.LIMIT >> 20} MB" if count >= pickling.LIMIT else size(count)
