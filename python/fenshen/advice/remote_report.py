"""What the report tells of a function that a pool of processes called."""

from __future__ import annotations

from collections.abc import Sequence

from fenshen.advice import remote
from fenshen.advice.functions import function
from fenshen.advice.remote import Move, Remote
from fenshen.advice.remote_verdict import judge
from fenshen.advice.words import counted, seconds, size, time


class RemoteRow:
    """One function, with what was measured, and the verdict."""

    __slots__ = ("evidence", "function", "verdict")

    def __init__(self, row: Sequence[int], cpus: float, lock: str) -> None:
        self.evidence = remote.read(row)
        self.function = function(self.evidence.number, None)
        self.verdict = judge(self.evidence, cpus, lock)

    @property
    def time(self) -> float:
        """What it is sorted by."""
        return max(self.evidence.wall, self.evidence.span)

    def lines(self, _hogs: Sequence[str]) -> list[str]:
        """What is told of it."""
        place = f" ({self.function.place})" if self.function.place else ""
        told = [_measured(self.evidence), self.verdict.told, self.verdict.advice, *_moved(self.evidence)]
        return [f"  {self.function.name}{place}, in a process pool", *("    " + line for line in told)]


def _measured(evidence: Remote) -> str:
    tasks = counted(evidence.tasks, "task")
    if evidence.calls != evidence.tasks:
        tasks += f" of about {evidence.chunk:.3g}"
    workers = counted(evidence.workers, "worker")
    calls = f"{counted(evidence.calls, 'call')} in {tasks} ({evidence.at_once} at once, {workers})"
    if evidence.raised:
        calls += f", {evidence.raised} of them raised"
    if evidence.running:
        calls += f", {evidence.running} more not ended"
    took = f"wall {seconds(evidence.wall)}, CPU {seconds(evidence.cpu)} in the workers"
    return f"{calls}; {took}, under way for {seconds(evidence.span)}"


def _moved(evidence: Remote) -> list[str]:
    if not evidence.calls:
        return []
    there, back = (_move(way, evidence.calls) for way in (evidence.there, evidence.back))
    return [f"moved for each call: {there} to send, {back} to return"]


def _move(way: Move, calls: int) -> str:
    took = f"{time(way.dump / calls)} to pickle, {time(way.load / calls)} to load"
    return f"{size(way.size / calls)} ({took})"
