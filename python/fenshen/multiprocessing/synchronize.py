"""The locks of `multiprocessing`, in shared memory: `from fenshen.multiprocessing.synchronize import Lock`.

Each derives from the standard library's class of that name. They reach other processes as those do, and also as
arguments and results of tasks of our pools and as items of our queues and pipes.
"""

from __future__ import annotations

import atexit
import multiprocessing.synchronize as _standard
from multiprocessing import context, util
from multiprocessing.synchronize import RECURSIVE_MUTEX, SEM_VALUE_MAX, SEMAPHORE

from fenshen import _processes, _segments
from fenshen._owner_died import OwnerDied as OwnerDied
from fenshen.multiprocessing._barrier import Barrier as Barrier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from typing import Any

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]


class SemLock(_processes.SemLock, _standard.SemLock):
    """What the locks and semaphores here have in common. It is its own `_semlock`."""

    def __init__(self, kind: int, value: int, maxvalue: int, *, ctx: BaseContext | None):
        if ctx is None:
            ctx = context._default_context.get_context()
        self._is_fork_ctx = ctx.get_start_method() == "fork"
        super().__init__(kind, value, maxvalue)
        util.debug("created semlock with handle %s", self.handle)

    @property
    def _semlock(self) -> SemLock:
        return self

    def __getstate__(self) -> tuple[Any, ...]:
        _segments.check(self)
        _segments.keep_apart(self._is_fork_ctx)
        return self._share(), self.kind, self.maxvalue, self.name, self._is_fork_ctx and _segments.is_carried()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *place, self._is_fork_ctx = state
        self._attach(*place)
        util.debug("recreated blocker with handle %r", self.handle)


class Semaphore(SemLock, _standard.Semaphore):
    """A semaphore that processes share; see `multiprocessing.Semaphore`.

    `acquire` raises OwnerDied where it waits for the only units left, and the process that took the last of them died:
    not where the semaphore began at 0, which tells of events.
    """

    def __init__(self, value: int = 1, *, ctx: BaseContext | None):
        SemLock.__init__(self, SEMAPHORE, value, SEM_VALUE_MAX, ctx=ctx)


class BoundedSemaphore(Semaphore, _standard.BoundedSemaphore):
    """A semaphore that never has more units than it began with; see `multiprocessing.BoundedSemaphore`."""

    def __init__(self, value: int = 1, *, ctx: BaseContext | None):
        SemLock.__init__(self, SEMAPHORE, value, value, ctx=ctx)


class Lock(SemLock, _standard.Lock):
    """A lock that processes share; see `multiprocessing.Lock`.

    `acquire` raises OwnerDied where the process that acquired it last died; it stays locked until somebody releases it.
    """

    def __init__(self, *, ctx: BaseContext | None):
        SemLock.__init__(self, SEMAPHORE, 1, 1, ctx=ctx)


class RLock(SemLock, _standard.RLock):
    """A lock that processes share and its owner may take again; see `multiprocessing.RLock`.

    `acquire` raises OwnerDied, once, where the process that held it died; it is free again then.
    """

    def __init__(self, *, ctx: BaseContext | None):
        SemLock.__init__(self, RECURSIVE_MUTEX, 1, 1, ctx=ctx)


for _class in (Lock, RLock, Semaphore, BoundedSemaphore):
    _processes.own_methods(_class, "acquire", "release")


class _Count:
    """A number under the name of one of the semaphores that the standard library's condition is made of."""

    def __init__(self, number: int):
        self.get_value = self._get_value = lambda: number
        self._semlock = self


class Condition(_processes.Condition, _standard.Condition):
    """A condition variable that processes share; see `multiprocessing.Condition`.

    Those who wait are served in order, and `notify` does not wait for them. One that is killed while it waits uses up
    one notification.
    """

    def __init__(self, lock: Any = None, *, ctx: BaseContext):
        super().__init__(lock or ctx.RLock())

    def __getstate__(self) -> tuple[Any, ...]:
        _segments.check(self)
        return self._lock, self._share()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        lock, place = state
        self._attach(*place)
        super().__init__(lock)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._lock}, {self._waiting()})>"

    _sleeping_count = property(lambda self: _Count(self._waiting()))
    _woken_count = _wait_semaphore = property(lambda self: _Count(0))


class Event(_processes.Event, _standard.Event):
    """An event that processes share; see `multiprocessing.Event`.

    A process that waits when it is set goes on, even if it is cleared again at once.
    """

    def __init__(self, *, ctx: BaseContext | None):
        super().__init__()

    def __getstate__(self) -> tuple[Any, ...]:
        _segments.check(self)
        return self._share()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._attach(*state)


def _begin(_: object) -> None:
    """This process begins to hold locks: at the program's start, and at that of a child of `multiprocessing`."""
    _processes.begin_life()
    util.Finalize(None, _processes.leave_all, exitpriority=-(1 << 30))


_begin(None)
util.register_after_fork(_begin, _begin)
atexit.register(_processes.leave_all)
