"""What those who wait for a lock of a dead process are told."""

from __future__ import annotations

import signal


class OwnerDied(RuntimeError):
    """The process that last acquired a shared lock or semaphore has died and will not release it.

    `pid` is the process, and `signal` the number of the signal that ended it, 0 where that is not known. What the lock
    guards may be half done. A `Lock` or a semaphore stays as it is, and every wait for it ends like this until
    somebody calls `release()`; an `RLock` is free again.
    """

    pid: int = 0
    signal: int = 0


OwnerDied.__module__ = "fenshen.multiprocessing"


def _cause(number: int, status: int) -> str:
    if number:
        try:
            return f"was ended by {signal.Signals(number).name}"
        except ValueError:
            return f"was ended by signal {number}"
    return f"ended at once with exit status {status}" if status >= 0 else "has died"


def owner_died(lock: object, pid: int, number: int, status: int) -> OwnerDied:
    """The error for those who wait for `lock`; `number` is a signal or 0, `status` an exit status or -1."""
    name = type(lock).__name__
    error = OwnerDied(f"process {pid}, the last to acquire this {name}, {_cause(number, status)} before it released it")
    error.pid, error.signal = pid, number
    return error
