"""Which model "auto" picks, and why."""

from __future__ import annotations

from typing import NamedTuple

from fenshen.advice.words import size, time

__all__ = ["Choice", "Measured", "of_coroutine", "of_function"]

# What sending a call to another process and its result back costs, in seconds, without pickling.
_TRIP = 100e-6
# Less than this is no speed-up to speak of.
_WORTH = 1.15
# A loop that one stage's steps hold for so much of the time is what holds that stage up.
_BUSY = 0.7


class Measured(NamedTuple):
    """What the first calls have shown; times are in seconds, for one call in the mean."""

    calls: int
    wall: float
    cpu: float
    lock_wait: float
    """Waiting for the interpreter lock."""
    bytes: int | None
    """To send to a process and back; None if it was not weighed."""
    pickling: float
    """To pickle them and to load them."""
    refused: str
    """What cannot be pickled; empty if all can."""
    kind: str
    """The kind of work, as `fenshen.advice.verdict` names them."""
    own: float = 0.0
    """Without the waits for the interpreter lock and for a CPU that others cause; of a coroutine, in its steps."""
    share: float = 0.0
    """So much of the time their steps held the loop; for coroutines."""

    def __str__(self) -> str:
        lock = f", {time(self.lock_wait)} waiting for the interpreter lock" if self.lock_wait >= self.wall / 100 else ""
        moved = "" if self.bytes is None else f", {size(self.bytes)} to move"
        return f"{self.calls} calls of {time(self.wall)}, {time(self.cpu)} of that CPU time{lock}{moved}"


class Choice(NamedTuple):
    """What was picked for a stage."""

    stage: str
    model: str
    why: str
    measured: Measured | None = None

    def __str__(self) -> str:
        measured = "" if self.measured is None else f" ({self.measured})"
        return f"stage {self.stage!r} runs as {self.model!r}: {self.why}{measured}"


def of_function(stage: str, measured: Measured, cpus: int) -> Choice:
    """The model for a plain function."""

    def choice(model: str, why: str) -> Choice:
        return Choice(stage, model, why, measured)

    kind = measured.kind
    if kind == "waits":
        return choice("thread", "it waits for something outside of the process")
    if kind == "threads":
        return choice("thread", "it waits for other threads")
    if kind == "outside":
        return choice("thread", "it computes outside of the interpreter lock")
    if measured.cpu <= _TRIP:
        return choice("thread", "its calls are too short to be worth sending to a process")
    if kind == "few":
        return choice("thread", "there were too few calls to tell what kind of work it is")
    what = {
        "holding": "it sleeps while it holds the interpreter lock",
        "under": "it computes under the interpreter lock",
        "both": "it computes, in part under the interpreter lock",
        "mixed": "it waits and computes",
    }[kind]
    if measured.refused:
        return choice("thread", f"{what}, but cannot be sent to a process: {measured.refused}")
    own = max(measured.own, measured.cpu)
    alone = measured.cpu if kind != "holding" else own  # one thread after the other
    elsewhere = max(own / cpus, measured.pickling + _TRIP / 2)
    if cpus < 2:
        return choice("thread", f"{what}, but there is one CPU to use")
    if alone / elsewhere < _WORTH:
        return choice("thread", f"{what}, but moving its data costs as much as it would gain")
    return choice("process", what)


def of_coroutine(stage: str, measured: Measured, cpus: int) -> Choice:
    """The model for a coroutine function."""

    def choice(model: str, why: str) -> Choice:
        return Choice(stage, model, why, measured)

    if measured.share < _BUSY:
        return choice("async", f"it awaits: its steps hold the loop for {measured.share:.0%} of the time")
    what = f"its steps hold the loop for {measured.share:.0%} of the time"
    if measured.own <= 2 * _TRIP:
        return choice("async", f"{what}, but its calls are too short to be worth sending to a process")
    if measured.refused:
        return choice("async", f"{what}, but it cannot be sent to a process: {measured.refused}")
    if cpus < 2 or measured.own / max(measured.own / cpus, measured.pickling + _TRIP) < _WORTH:
        return choice("async", f"{what}, but nothing is gained by sending it to a process")
    return choice("process+async", what)
