"""What follows when the native side finds threads that wait for each other, or that all wait: an error in one of them,
a report, or nothing.

It is an error only when nothing in this process can end the wait; `judge` is told whether that is so as far as threads
are concerned, and looks at signal handlers itself.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, NamedTuple

from fenshen import _engine, _threads
from fenshen._options import current
from fenshen.deadlock import DeadlockError, WaitingThread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_LONGEST = 160
_pid = os.getpid()

# Who has waited for what when an error was raised, and the orders of these waits; and what has been reported.
_raised: dict[frozenset[tuple[int, int]], set[int]] = {}
_reported: set[frozenset[tuple[int, int]]] = set()


class Wait(NamedTuple):
    """A wait, as `_threads.waits()` lists it."""

    thread: int
    ident: int
    tid: int
    main: bool
    what: Any
    timed: bool
    idle: bool
    order: int
    helpers: list[int] | None


class Exit:
    """What the main thread waits for at the interpreter's end."""

    def __init__(self, thread: threading.Thread) -> None:
        self.thread = thread

    def __repr__(self) -> str:
        return f"the end of {self.thread.name}, before the program can exit"


def judge(me: int, ring: list[int], stuck: bool) -> BaseException | None:
    """Called by a thread (our number of it) whose wait may never end: it is in the ring of threads that wait for each
    other, or there is none. `stuck` says that no other thread can help.

    Returns the error that is to be raised here, if any.
    """
    try:
        return _judge(me, ring, stuck)
    except Exception:
        return None  # a look that fails must not harm the program


def _judge(me: int, ring: list[int], stuck: bool) -> BaseException | None:
    if current.deadlock == "off" or _stdlib_is_gone():
        return None
    waits = {wait.thread: wait for wait in map(Wait._make, _threads.waits())}
    if not all(thread in waits for thread in ring):
        return None
    members = [waits[thread] for thread in ring] or [w for w in waits.values() if not (w.timed or w.idle)]
    if not members or (not ring and any(map(_sleeps_until_signal, members))):
        return None
    this = frozenset((wait.thread, id(wait.what)) for wait in members)
    orders = {wait.order for wait in members}
    if orders & _raised.get(this, set()):
        return None  # its victim is about to get the error
    concerned = members if ring and all(map(_is_strict, members)) else waits.values()
    certain = stuck and not (any(wait.main for wait in concerned) and _handlers())
    if certain and current.deadlock == "raise" and this not in _raised:
        victim = _victim(members)
        _raised[this] = orders
        error = DeadlockError(_text(members, waits, ring), (), _describe(members, waits))
        if victim.thread == me:
            return error
        if _threads.condemn(victim.thread, victim.order, error):
            return None
    if (ring or certain) and this not in _reported:
        _reported.add(this)
        _engine.say(_text(members, waits, ring))
    return None


def _stdlib_is_gone() -> bool:
    return sys.is_finalizing() or sys.modules is None


def _is_strict(wait: Wait) -> bool:
    return isinstance(wait.what, _threads.RLock)


def _sleeps_until_signal(wait: Wait) -> bool:
    """`Event().wait()` in the main thread means "until Ctrl-C" to many a program."""
    return wait.main and isinstance(wait.what, threading.Event)


def _handlers() -> bool:
    from fenshen._wakers import handlers

    return handlers()


def _victim(members: list[Wait]) -> Wait:
    """The youngest waiter. Where there is no ring: of those whom no other could help by ending, and rather one whose
    end the program waits for than a daemon.
    """

    def rank(wait: Wait) -> tuple[bool, bool, int]:
        thread = _thread(wait)
        return wait.helpers is None, not (thread is not None and thread.daemon), wait.order

    in_ring = all(wait.helpers for wait in members)
    # At the interpreter's end an error would end nobody's wait.
    members = [wait for wait in members if not isinstance(wait.what, Exit)] or members
    return max(members, key=(lambda wait: wait.order) if in_ring else rank)


# -- Words ------------------------------------------------------------------------------------------------------------


def _thread(wait: Wait) -> threading.Thread | None:
    return threading._active.get(wait.ident)  # type: ignore[attr-defined]


def _name(wait: Wait) -> str:
    thread = _thread(wait)
    return thread.name if thread is not None else f"thread {wait.tid}"


def _name_of(number: int, waits: dict[int, Wait]) -> str:
    if number in waits:
        return _name(waits[number])
    for thread, ident, tid, _ in _threads.threads():
        if thread == number:
            known = threading._active.get(ident)  # type: ignore[attr-defined]
            return known.name if known is not None else f"thread {tid}"
    return f"a thread that {'this forked process does not have' if os.getpid() != _pid else 'has ended'}"


def shown(what: Any) -> str:
    """An object on one line."""
    if isinstance(what, threading.Thread):
        return f"the end of {what.name}"
    try:
        text = " ".join(repr(what).split())
    except Exception:
        text = f"<{type(what).__name__} object>"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def count(number: int, what: str) -> str:
    """`1 thread`, `2 threads`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def told(wait: Wait) -> str:
    """What a thread waits for, and who holds it."""
    owner = _owner(wait, {})
    return shown(wait.what) + (f", held by {owner}" if owner is not None and not _is_thread(wait.what) else "")


def _owner(wait: Wait, waits: dict[int, Wait]) -> str | None:
    if not wait.helpers or len(wait.helpers) != 1:
        return None
    return _name_of(wait.helpers[0], waits)


def _describe(members: list[Wait], waits: dict[int, Wait]) -> list[WaitingThread]:
    frames = sys._current_frames()
    notes = sys.modules.get("fenshen._order")
    origin = notes.origin if notes is not None else lambda _: []
    return [
        WaitingThread(_name(w), shown(w.what), _owner(w, waits), stack(frames.get(w.ident)), origin(w.what))
        for w in members
    ]


def stack(frame: FrameType | None) -> list[str]:
    """Where a thread stands, outermost first, without our own frames."""
    here = os.path.join(_folder(), "")
    own = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
    places = []
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(own):
            file = file[len(here) :] if file.startswith(here) else file
            places.append(f"{file}:{frame.f_lineno} in {frame.f_code.co_name}")
        frame = frame.f_back
    if len(places) > 3 and places[-1].endswith(" in _bootstrap"):
        del places[-3:]  # `threading`'s own: _bootstrap, _bootstrap_inner, run
    return places[::-1]


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return os.sep


def _text(members: list[Wait], waits: dict[int, Wait], ring: list[int]) -> str:
    if ring:
        first = "these threads wait for each other" if len(ring) > 1 else "this thread waits for itself"
    else:
        first = "every thread waits, and nothing can end that"
    lines = [f"{first}:"]
    for wait, told in zip(members, _describe(members, waits), strict=True):
        held = f", held by {told.owner}" if told.owner is not None and not _is_thread(wait.what) else ""
        lines.append(f"  {told.name} waits for {told.waits_on}{held}")
        lines.extend(f"    {place}" for place in told.stack)
        lines.extend(f"      it was acquired at {place}" for place in told.acquired[-1:])
    if len(ring) > 1:
        lines.append("  in a ring: " + " -> ".join(_name_of(thread, waits) for thread in [*ring, ring[0]]))
    return "\n".join(lines)


def _is_thread(what: Any) -> bool:
    return isinstance(what, (threading.Thread, Exit))
