"""Signals that ask a program to end in order: who is to be told of them, and whether one has come.

`register()` is what `run()` and task groups use. Several may be registered for the same signal, as a group is within a
program that is run so: each has its own first and second one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal as _signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import Any

    OnSignal = Callable[[int], object]

__all__ = ["Registration", "register", "shutdown_requested", "until_shutdown"]

#: Those that last, oldest first.
_registered: list[Registration] = []
#: What handled each signal before we did.
_before: dict[int, Any] = {}
_waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[int]]] = []


class Registration:
    """Somebody who is told of signals, as long as this is open; made by `register()`."""

    def __init__(self, signals: Iterable[int], on_first: OnSignal, on_second: OnSignal | None) -> None:
        self.signals = tuple(dict.fromkeys(signals))
        #: The first one that came; None before.
        self.signal: int | None = None
        self._on_first = on_first
        self._on_second = on_second

    def tell(self, number: int) -> None:
        """A signal has come, or somebody passes one on."""
        if self.signal is None:
            self.signal = number
            # In this order: whoever has waited for it finds the servers closed.
            self._on_first(number)
            _wake_waiters(number)
        elif self._on_second is not None:
            self._on_second(number)

    def close(self) -> None:
        """Be told no more; the handlers before it are back when the last one is closed."""
        if self in _registered:
            _registered.remove(self)
        for number in self.signals:
            if not any(number in other.signals for other in _registered):
                _restore(number)

    def __enter__(self) -> Registration:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def register(
    signals: Iterable[int],
    on_first: OnSignal,
    on_second: OnSignal | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Registration:
    """Have `on_first(number)` called when one of the signals comes, and `on_second(number)` at each after that.

    With a `loop`, they are called by it, as soon as it can; otherwise in the main thread, between two of its
    instructions, where they must not take a lock that the thread may hold. With no `signals`, only `tell()` of what is
    returned calls them, from any thread. The second signal of the same number gives that back to whoever handled it
    before: a third one ends the program, if that is what it did.

    Raises ValueError if a number is no signal's, or this is not the main thread; OSError if one cannot be handled.
    """
    if loop is not None:
        on_first, on_second = _on_loop(loop, on_first), None if on_second is None else _on_loop(loop, on_second)
    made = Registration(signals, on_first, on_second)
    _registered.append(made)
    try:
        for number in made.signals:
            if number not in _before:
                # In this order: one that comes at once finds what was before.
                _before[number] = _signal.getsignal(number)
                _signal.signal(number, _handle)
    except BaseException:
        made.close()
        raise
    return made


def _on_loop(loop: asyncio.AbstractEventLoop, callback: OnSignal) -> OnSignal:
    def told(number: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nothing is left to be ended
            loop.call_soon_threadsafe(callback, number)

    return told


def _handle(number: int, _: FrameType | None) -> None:
    told = [each for each in _registered if number in each.signals]
    if all(each.signal is not None for each in told):
        _restore(number)
    for each in told:
        each.tell(number)


def _restore(number: int) -> None:
    if number not in _before:
        return
    before = _before.pop(number)
    with contextlib.suppress(ValueError, OSError):  # another thread than the main one, or what cannot be handled at all
        if _signal.getsignal(number) is _handle:
            _signal.signal(number, _signal.SIG_DFL if before is None else before)


def shutdown_requested() -> bool:
    """Whether this program was asked to end in order: by one of the signals of `run(shutdown_signals=...)`, or of a
    `TaskGroup(signals=...)` that lasts."""
    return any(each.signal is not None for each in _registered)


async def until_shutdown() -> int:
    """Wait until the program is asked to end in order, as `shutdown_requested()` has it; the signal's number."""
    for each in _registered:
        if each.signal is not None:
            return each.signal
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[int] = loop.create_future()
    entry = (loop, waiter)
    _waiters.append(entry)
    try:
        return await waiter
    finally:
        if entry in _waiters:
            _waiters.remove(entry)


def _wake_waiters(number: int) -> None:
    waiting, _waiters[:] = _waiters[:], []
    for loop, waiter in waiting:
        with contextlib.suppress(RuntimeError):  # that loop is closed
            loop.call_soon_threadsafe(_set, waiter, number)


def _set(waiter: asyncio.Future[int], number: int) -> None:
    if not waiter.done():
        waiter.set_result(number)


def _forget() -> None:
    """In a forked child: whoever was told is the parent's, and signals are handled as before."""
    _registered.clear()
    _waiters.clear()
    for number in list(_before):
        _restore(number)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
