"""What `SIGUSR1` prints under `fenshen run`: every thread and every task, where it stands, what it holds and what it
waits for. The program goes on.

It is installed below Python, so `signal.getsignal(SIGUSR1)` does not show it, and a handler of the program's own takes
its place. Until threads or an event loop are there, `faulthandler` writes the stack of the only thread.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

_handler: object = None
# The program has registered SIGUSR1 with faulthandler itself.
_given_up = False


def listen() -> None:
    """Have SIGUSR1 write the stacks, unless the program handles it. Imports nothing that is not built in."""
    import _signal

    if not hasattr(_signal, "SIGUSR1") or sys.stderr is None:
        return
    try:
        if _signal.getsignal(_signal.SIGUSR1) != _signal.SIG_DFL:
            return
        import faulthandler

        faulthandler.register(_signal.SIGUSR1, all_threads=True)
    except (ImportError, AttributeError, OSError, RuntimeError, ValueError):
        return  # a stderr without a descriptor, say
    for name in ("register", "unregister"):
        setattr(faulthandler, name, _giving_up(getattr(faulthandler, name)))


def _giving_up(original: Any) -> Any:
    """`faulthandler.register` or `unregister`, for a program that uses SIGUSR1 so: it is all its own then."""

    def function(*args: Any, **kwargs: Any) -> Any:
        global _given_up
        import _signal

        if _signal.SIGUSR1 in (args[:1] or (kwargs.get("signum"),)):
            _given_up = True
            if _handler is not None:
                from fenshen import _threads

                _threads.leave_requests(_signal.SIGUSR1)
        return original(*args, **kwargs)

    function.__name__ = function.__qualname__ = original.__name__
    function.__doc__ = original.__doc__
    return function


def tell_all() -> None:
    """Have it tell everything from now on, if `listen` could."""
    global _handler
    import signal

    from fenshen import _threads

    if _handler is not None or _given_up or sys.stderr is None:
        return
    for number in range(signal.SIGRTMAX - 1, signal.SIGRTMIN, -1):
        try:
            if signal.getsignal(number) is not signal.SIG_DFL:
                continue
            signal.signal(number, _on_request)
        except (OSError, ValueError):  # not the main thread
            return
        _handler = _on_request
        _threads.answer_requests(signal.SIGUSR1, number)
        return


def is_ours(handler: object) -> bool:
    """Whether a signal's Python handler is this module's."""
    return handler is not None and handler is _handler


def _on_request(number: int, frame: FrameType | None) -> None:
    from fenshen import _threads

    _threads.request_begun()
    try:
        text = "\n".join(_lines(frame))
    except Exception as error:
        text = f"what runs cannot be told: {type(error).__name__}: {error}"
    try:
        sys.stderr.write(f"fenshen: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError, RuntimeError):  # stderr is being written to, it may be
        return


def _lines(here: FrameType | None) -> Iterator[str]:
    import os
    import threading

    from fenshen import _stuck, _threads

    waits = {wait.ident: wait for wait in map(_stuck.Wait._make, _threads.waits())}
    numbers = {ident: number for number, ident, _, _ in _threads.threads()}
    held: dict[int, list[object]] = {}
    for owner, lock in _threads.held_locks():
        held.setdefault(owner, []).append(lock)
    frames = sys._current_frames()
    if here is not None:
        frames[threading.get_ident()] = here
    known = {thread.ident: thread for thread in threading.enumerate()}
    yield f"process {os.getpid()}: {_stuck.count(len(frames), 'thread')}"
    for ident, frame in sorted(frames.items(), key=lambda item: numbers.get(item[0], 1 << 32)):
        thread = known.get(ident)
        name = thread.name if thread is not None else f"thread {ident}"
        yield f"  {name}{' (daemon)' if thread is not None and thread.daemon else ''}"
        if ident in waits:
            yield f"    waits for {_stuck.told(waits[ident])}"
        for lock in held.get(numbers.get(ident, 0), ()):
            yield f"    holds {_stuck.shown(lock)}"
        yield from (f"    {place}" for place in _stuck.stack(frame))
    yield from _task_lines()


def _task_lines() -> Iterator[str]:
    if "asyncio" not in sys.modules:
        return
    import asyncio

    from fenshen import _awaiting, _stuck

    native = sys.modules.get("fenshen._fenshen")
    tasks = set(native.live_tasks()) if native is not None else set()
    tasks.update(task for task in list(getattr(asyncio.tasks, "_scheduled_tasks", ())) if not task.done())
    if not tasks:
        return
    listed = sorted(tasks, key=lambda task: (len(task.get_name()), task.get_name()))
    yield _stuck.count(len(listed), "task")
    for task, told in zip(listed, _awaiting.describe(listed), strict=True):
        yield f"  {told.name}"
        if getattr(task, "_fut_waiter", None) is not None:
            yield f"    waits on {told.waits_on}"
        yield from (f"    holds {_stuck.shown(lock)}" for lock in _awaiting.holds(task))
        yield from (f"    {place}" for place in told.stack)
