"""Has the engine measure calls, as `fenshen run --advise` does, while somebody wants to know."""

from __future__ import annotations

import os
import threading
from typing import Any

from fenshen import _fenshen, advise
from fenshen.advice import functions, pickling, remote, report, verdict
from fenshen.advice.evidence import Evidence

_lock = threading.Lock()
_state: dict[str, Any] = {"users": 0, "lock": "unknown", "watches forks": False}


def begin() -> None:
    """Measure from now on, until `end()` was called as often."""
    with _lock:
        _state["users"] += 1
        if _state["users"] > 1 or _of_the_program():
            return
        _state["lock"] = _fenshen.advise_start(pickling.weigh, pickling.arguments, remote.task)
        if not _state["watches forks"]:
            _state["watches forks"] = True
            os.register_at_fork(before=_pause, after_in_parent=_resume, after_in_child=_forget)


def end() -> None:
    """Measure no longer, unless somebody else wants to know."""
    with _lock:
        _state["users"] -= 1
        if not _state["users"] and not _of_the_program():
            _fenshen.advise_stop()


def _of_the_program() -> bool:
    """Whether the program runs with `--advise`."""
    return bool(advise._state["pid"] == os.getpid())


def _pause() -> None:
    if _state["users"]:
        _fenshen.advise_pause()


def _resume() -> None:
    if _state["users"]:
        _fenshen.advise_resume()


def _forget() -> None:
    global _lock
    _lock = threading.Lock()
    if _state["users"] and not _of_the_program():
        _fenshen.advise_forget()
        _fenshen.advise_stop()
    _state["users"] = 0


# What grows with every call; the rest is a largest or a present value.
_GROWS = (0, 3, 4, 5, 6, 9, 11, 12)


class Row:
    """What the engine counts of one function, from now on."""

    def __init__(self, fn: Any) -> None:
        self.number = functions.number("pool", fn)
        self._before = self._now()

    def evidence(self) -> Evidence:
        """What was counted so far."""
        (counts, looks, pairs), (old_counts, old_looks, old_pairs) = self._now(), self._before
        grown = [value - old_counts[at] if at in _GROWS else value for at, value in enumerate(counts)]
        return Evidence(
            grown,
            [new - old for new, old in zip(looks, old_looks, strict=True)],
            [new - old for new, old in zip(pairs, old_pairs, strict=True)],
        )

    def _now(self) -> tuple[list[int], list[int], list[int]]:
        _source, counts, looks, pairs = _fenshen.advise_counts()[self.number]
        return list(counts), list(looks), list(pairs)


def kind(evidence: Evidence) -> str:
    """The kind of work, as `fenshen.advice.verdict` names them."""
    return verdict.kind(evidence, report.lock if _of_the_program() else _state["lock"])
