"""The ends of threads as something to wait for: `Thread.join`, and the interpreter's own wait for its threads.

They are wired into `threading` where deadlocks are looked for, so that a wait for a thread is seen as one.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from fenshen import _stuck, _threads
from fenshen._options import current

# Under this name a thread keeps our number of it.
_NUMBER = "_fenshen_number"


def set_native_id(original: Any) -> Any:
    """For `Thread._set_native_id`, which every thread calls at its start: it gets its number."""

    def _set_native_id(self: threading.Thread) -> None:
        original(self)
        self.__dict__[_NUMBER] = _threads.this_thread()

    return _set_native_id


def join(original: Any) -> Any:
    """For `Thread.join`: waits where it can be told that it waits, and for whom."""

    def join(self: threading.Thread, timeout: float | None = None) -> None:
        number = self.__dict__.get(_NUMBER)
        if number is None or self is threading.current_thread() or not _can_wait(timeout):
            return original(self, timeout)
        began = time.monotonic()
        ended = _threads.wait_for_end(number, timeout, self)
        if ended and self is threading.main_thread():
            return None  # the interpreter says so only after all others have ended
        if timeout is not None:
            timeout = max(0.0, timeout - (time.monotonic() - began)) if ended else 0.0
        return original(self, timeout)

    join.__doc__ = original.__doc__
    return join


def _can_wait(timeout: Any) -> bool:
    return timeout is None or (isinstance(timeout, (int, float)) and 0 < timeout <= threading.TIMEOUT_MAX)


def _at_exit() -> None:
    """The last of what runs before the interpreter waits for its threads: waits for them, as it would."""
    if threading.current_thread() is not threading.main_thread() or current.deadlock == "off":
        return
    _threads.say_over()
    while True:
        left = [
            (number, thread)
            for thread in threading.enumerate()
            if not thread.daemon
            and thread is not threading.main_thread()
            and (number := thread.__dict__.get(_NUMBER)) is not None
            and not thread.__dict__.get("_fenshen_waited")
        ]
        if not left:
            return
        for number, thread in left:
            _threads.wait_for_end(number, None, _stuck.Exit(thread))
            thread.__dict__["_fenshen_waited"] = True


def start() -> None:
    """Look for deadlocks among threads from now on."""
    for thread in (threading.current_thread(), threading.main_thread()):
        if thread is threading.current_thread():
            thread.__dict__.setdefault(_NUMBER, _threads.this_thread())
    if _at_exit not in threading._threading_atexits:  # type: ignore[attr-defined]
        threading._threading_atexits.insert(0, _at_exit)  # type: ignore[attr-defined]
    _threads.look_for_deadlocks(_stuck)


def stop() -> None:
    """No longer look for them."""
    _threads.look_for_deadlocks(None)
