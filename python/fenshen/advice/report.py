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
from fenshen.advice.verdict import WORTH, Verdict, judge

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


def text(counts: Sequence[Any], *, child: bool = False) -> str:
    """The report's text; empty for a child process with nothing to tell."""
    usable = cpus()
    rows = [_Row(number, row, usable) for number, row in enumerate(counts) if row[1][0] and not is_own(row[0])]
    rows.sort(key=lambda row: -max(row.evidence.busy, row.evidence.span))
    if not rows:
        return "" if child else "advice: nothing was handed to a thread, a thread pool or a task"
    lines = [_head(rows, usable)]
    hogs = [row.function.name for row in rows if row.verdict.kind in ("holding", "under", "both", "mixed")]
    for row in rows[:MOST]:
        lines += _lines(row, [name for name in hogs if name != row.function.name])
    if len(rows) > MOST:
        lines.append(f"  and {len(rows) - MOST} more that took less time")
    return "\n".join(lines)


def _head(rows: list[_Row], usable: float) -> str:
    looks = sum(row.evidence.seen for row in rows)
    plural = "" if usable == 1 else "s"
    who = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c") else "the program"
    known = "" if lock in ("known", "none") else "; where the interpreter lock is could not be learned"
    machine = f"{usable:.3g} CPU{plural} to use, {looks} looks at its threads{known}"
    return f"advice for {who} (process {os.getpid()}, {machine}):"


def _lines(row: _Row, hogs: list[str]) -> list[str]:
    place = f" ({row.function.place})" if row.function.place else ""
    lines = [f"  {row.function.name}{place}, {_WAYS[row.function.way]}"]
    lines.append("    " + _measured(row.function, row.evidence))
    lines.append("    " + row.verdict.told)
    lines.append("    " + row.verdict.advice + _expected(row.verdict))
    if row.verdict.kind in ("holding", "under", "both", "mixed") and (row.verdict.speedup or 0) >= WORTH:
        lines += ["    " + line for line in _sent(row)]
    if hogs and row.verdict.kind in ("few", "waits", "threads", "outside", "awaits") and _is_kept_waiting(row.evidence):
        lines.append(f"    its waits for the interpreter lock are due to others: {', '.join(hogs[:3])}")
    return lines


def _measured(function: Function, evidence: Evidence) -> str:
    what = "task" if function.way == "task" else "call"
    counted = f"{evidence.calls} {what}{'' if evidence.calls == 1 else 's'}"
    if evidence.calls > 1:
        counted += f" ({evidence.peak} at once)"
    if evidence.running:
        counted += f", {evidence.running} of them not ended"
    steps = f"{_seconds(evidence.busy)} in {evidence.steps} steps, " if function.way == "task" else ""
    waited = "waiting for the interpreter lock: "
    if not evidence.seen:
        waited += "not seen"
    elif lock == "none":
        waited = "no interpreter lock"
    else:
        waited += f"{_seconds(evidence.lock_wait)} ± {_seconds(min(evidence.lock_error, evidence.busy))}"
    return f"{counted}; wall {_seconds(evidence.wall)}, {steps}CPU {_seconds(evidence.cpu)}, {waited}"


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
    calls = f"{count} call{'' if count == 1 else 's'}"
    return [f"pickled for each call: {_bytes(arguments)} to send, {_bytes(results)} to return (seen in {calls})"]


def _is_kept_waiting(evidence: Evidence) -> bool:
    return evidence.lock_wait - evidence.lock_error > 0.1 * evidence.busy


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.995 else f"{seconds * 1e3:.3g} ms"


def _bytes(count: float) -> str:
    if count >= pickling.LIMIT:
        return f"over {pickling.LIMIT >> 20} MB"
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"
