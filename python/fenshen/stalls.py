"""What happens when nothing can ever wake an event loop again while its main task waits: `DeadlockError` in that task,
or a report, as `fenshen run --deadlock=...` and `fenshen.install(deadlock=...)` say.

It is an error only when it is certain. Whatever could still wake the loop makes it silent for as long as that lasts; a
thread that we know nothing of leaves it open, which after a while makes it a report.
"""

from __future__ import annotations

import sys
import time
from asyncio import base_events, tasks
from typing import TYPE_CHECKING, Any

from fenshen import _engine, _wakers
from fenshen._awaiting import WaitingTask, describe, find_cycle
from fenshen._options import current
from fenshen.deadlock import DeadlockError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Seconds: between two looks at the same threads, the longest time between looks, and how long a wait that only an
# unknown thread can end goes unmentioned.
_PAUSE = 0.05
_LONGEST = 1.0
_PATIENCE = 5.0


class StallCheck:
    """Looks at why a loop has nothing to do; one for each loop, called by it on its own thread."""

    def __init__(self) -> None:
        self._raised: set[frozenset[int]] = set()
        self._reported: set[frozenset[int]] = set()
        self._pause = _PAUSE
        # The wait that is in doubt, and since when.
        self._doubted: tuple[object, float] = (None, 0.0)
        # What the idle workers' threads looked like, and when.
        self._idle: tuple[object, float] = (None, 0.0)

    def __call__(self, loop: Any) -> float | None:
        """The number of seconds after which to look again if nothing has happened; None if that is of no use."""
        try:
            return self._look(loop)
        except Exception:
            return None  # a check that fails must not harm the program

    def _look(self, loop: Any) -> float | None:
        main = _main_of(loop)
        if main is None or main.done() or current.deadlock == "off" or _wakers.signals(loop):
            return None
        if _wakers.children():
            return self._later()
        workers, unknown = _wakers.threads()
        if _wakers.has_jobs(workers):
            return self._later()
        if unknown:
            return self._doubt(loop, main, unknown)
        if workers and not self._are_idle(workers):
            return _PAUSE
        if loop._has_work():
            return _PAUSE  # whoever is not among the threads any more may have left some
        self._certain(loop, main)
        return None

    def _later(self) -> float:
        self._pause = min(2 * self._pause, _LONGEST)
        return self._pause

    def _are_idle(self, workers: Sequence[_wakers.Worker]) -> bool:
        """Whether every worker sleeps in its queue, and has not run since an earlier look.

        Between the looks the loop slept without the interpreter, so a worker that had only waited for that would have
        run.
        """
        state = _wakers.sleeping(workers)
        before, when = self._idle
        now = time.monotonic()
        if state is not None and state == before and now - when >= 0.8 * _PAUSE:
            return True
        self._idle = (state, now)
        return False

    def _doubt(self, loop: Any, main: Any, unknown: Sequence[str]) -> float:
        waiting = _waiting(loop, main)
        wait = frozenset((id(t), id(getattr(t, "_fut_waiter", None))) for t in waiting)
        before, since = self._doubted
        now = time.monotonic()
        if wait != before:
            self._doubted = (wait, now)
        elif now - since >= _PATIENCE:
            who = "another thread" if len(unknown) == 1 else f"{len(unknown)} other threads"
            cause = f"only {who} ({', '.join(unknown[:5])}) can wake the event loop, idle for {now - since:.0f} s"
            self._report(main, waiting, cause)
        return self._later()

    def _certain(self, loop: Any, main: Any) -> None:
        waiting = _waiting(loop, main)
        this = frozenset(map(id, waiting))
        cause = "nothing can wake the event loop any more"
        if current.deadlock == "raise" and this not in self._raised:
            described, ring = describe(waiting), find_cycle(waiting)
            error = DeadlockError(_text(cause, main, described, ring), described, ring)
            if _throw(main, error):
                self._raised.add(this)
                return
        self._report(main, waiting, cause)

    def _report(self, main: Any, waiting: list[Any], cause: str) -> None:
        this = frozenset(map(id, waiting))
        if this not in self._reported:
            self._reported.add(this)
            _engine.say(_text(cause, main, describe(waiting), find_cycle(waiting)))


def _main_of(loop: Any) -> Any:
    """The future that `run_until_complete` waits for, further up on this thread's stack; None under `run_forever`."""
    frame = sys._getframe()
    code = base_events.BaseEventLoop.run_until_complete.__code__
    while frame is not None:
        if frame.f_code is code and frame.f_locals.get("self") is loop:
            return frame.f_locals.get("future")
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _waiting(loop: Any, main: Any) -> list[Any]:
    """Every task of the loop that is not done, the main one first, then in the order of their names."""
    others = [t for t in tasks.all_tasks(loop) if t is not main and not t.done()]
    others.sort(key=lambda t: (len(t.get_name()), t.get_name()))
    return [main, *others]


def _throw(main: Any, error: DeadlockError) -> bool:
    from fenshen import _fenshen

    if isinstance(main, _fenshen.Task):
        left = main._fut_waiter
        if not _fenshen.throw_into(main, error):
            return False
        if left is not None and not isinstance(left, tasks.Task):
            left.add_done_callback(_forgive)
        return True
    if isinstance(main, tasks.Task):
        return False  # asyncio's own task: nothing can be thrown into it
    main.set_exception(error)
    return True


def _forgive(left: Any) -> None:
    """What the main task no longer waits for (a `gather`, say) ends some day: nobody is there to take its exception."""
    if not left.cancelled():
        left.exception()


def _text(cause: str, main: Any, described: list[WaitingTask], ring: list[WaitingTask]) -> str:
    which = "the main task waits" if isinstance(main, tasks.Task) else "what the program runs to its end is not done"
    lines = [f"{cause}, and {which}:"]
    for task in described:
        lines.append(f"  {task.name} waits on {task.waits_on}")
        lines.extend(f"    {place}" for place in task.stack)
    if ring:
        lines.append("  in a ring: " + " -> ".join(t.name for t in [*ring, ring[0]]))
    return "\n".join(lines)
