"""The contexts of `multiprocessing`, whose methods make our objects.

Which start method is the default is the standard library's affair: both packages have the same one.
"""

from __future__ import annotations

import multiprocessing.context as _standard
from multiprocessing.context import AuthenticationError as AuthenticationError
from multiprocessing.context import BaseContext as BaseContext
from multiprocessing.context import BufferTooShort as BufferTooShort
from multiprocessing.context import ForkProcess as ForkProcess
from multiprocessing.context import ForkServerProcess as ForkServerProcess
from multiprocessing.context import Process as Process
from multiprocessing.context import ProcessError as ProcessError
from multiprocessing.context import SpawnProcess as SpawnProcess
from multiprocessing.context import TimeoutError as TimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.managers import SyncManager
    from typing import Any

    from fenshen.multiprocessing import connection, pool, queues, synchronize

__all__ = ()


class _Ours(BaseContext):
    """The methods that make what processes share."""

    def Manager(self) -> SyncManager:
        """Return a manager whose server process has been started."""
        from fenshen.multiprocessing.managers import SyncManager

        manager = SyncManager(ctx=self.get_context())
        manager.start()
        return manager

    def Pipe(self, duplex: bool = True) -> tuple[connection.Connection, connection.Connection]:
        """Return two connections, the ends of a pipe."""
        from fenshen.multiprocessing.connection import Pipe

        return Pipe(duplex)

    def Lock(self) -> synchronize.Lock:
        """Return a lock that processes share."""
        from fenshen.multiprocessing.synchronize import Lock

        return Lock(ctx=self.get_context())

    def RLock(self) -> synchronize.RLock:
        """Return a lock that its owner may take again."""
        from fenshen.multiprocessing.synchronize import RLock

        return RLock(ctx=self.get_context())

    def Condition(self, lock: Any = None) -> synchronize.Condition:
        """Return a condition variable."""
        from fenshen.multiprocessing.synchronize import Condition

        return Condition(lock, ctx=self.get_context())

    def Semaphore(self, value: int = 1) -> synchronize.Semaphore:
        """Return a semaphore."""
        from fenshen.multiprocessing.synchronize import Semaphore

        return Semaphore(value, ctx=self.get_context())

    def BoundedSemaphore(self, value: int = 1) -> synchronize.BoundedSemaphore:
        """Return a semaphore that never exceeds `value`."""
        from fenshen.multiprocessing.synchronize import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self.get_context())

    def Event(self) -> synchronize.Event:
        """Return an event."""
        from fenshen.multiprocessing.synchronize import Event

        return Event(ctx=self.get_context())

    def Barrier(
        self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> synchronize.Barrier:
        """Return a barrier for so many parties; `timeout` is in seconds."""
        from fenshen.multiprocessing.synchronize import Barrier

        return Barrier(parties, action, timeout, ctx=self.get_context())

    def Queue(self, maxsize: int = 0) -> queues.Queue[Any]:
        """Return a queue."""
        from fenshen.multiprocessing.queues import Queue

        return Queue(maxsize, ctx=self.get_context())

    def JoinableQueue(self, maxsize: int = 0) -> queues.JoinableQueue[Any]:
        """Return a queue that can be joined."""
        from fenshen.multiprocessing.queues import JoinableQueue

        return JoinableQueue(maxsize, ctx=self.get_context())

    def SimpleQueue(self) -> queues.SimpleQueue[Any]:
        """Return a simple queue."""
        from fenshen.multiprocessing.queues import SimpleQueue

        return SimpleQueue(ctx=self.get_context())

    def Pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> pool.Pool:
        """Return a pool of worker processes."""
        from fenshen.multiprocessing.pool import Pool

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def RawValue(self, typecode_or_type: Any, *args: Any) -> Any:
        """Return a ctypes object in shared memory."""
        from fenshen.multiprocessing.sharedctypes import RawValue

        return RawValue(typecode_or_type, *args)

    def RawArray(self, typecode_or_type: Any, size_or_initializer: Any) -> Any:
        """Return a ctypes array in shared memory."""
        from fenshen.multiprocessing.sharedctypes import RawArray

        return RawArray(typecode_or_type, size_or_initializer)

    def Value(self, typecode_or_type: Any, *args: Any, lock: Any = True) -> Any:
        """Return a ctypes object in shared memory, with a lock."""
        from fenshen.multiprocessing.sharedctypes import Value

        return Value(typecode_or_type, *args, lock=lock, ctx=self.get_context())

    def Array(self, typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True) -> Any:
        """Return a ctypes array in shared memory, with a lock."""
        from fenshen.multiprocessing.sharedctypes import Array

        return Array(typecode_or_type, size_or_initializer, lock=lock, ctx=self.get_context())

    def get_context(self, method: str | None = None) -> BaseContext:
        """Return the context of that start method, or this one.

        Raises ValueError if there is no such method.
        """
        return ours(super().get_context(method))


class DefaultContext(_Ours, _standard.DefaultContext):
    """The context of the default start method, which it asks the standard library for, and sets there."""

    def __init__(self) -> None:
        pass

    @property
    def _default_context(self) -> BaseContext:
        return ours(_standard._default_context._default_context)

    @property
    def _actual_context(self) -> BaseContext | None:
        actual = _standard._default_context._actual_context
        return None if actual is None else ours(actual)

    def get_context(self, method: str | None = None) -> BaseContext:
        """Return the context of that start method, or of the default one.

        Raises ValueError if there is no such method.
        """
        return ours(_standard._default_context.get_context(method))

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Set the default start method, once, or again with `force`.

        Raises RuntimeError if it was set before, and ValueError if there is no such method.
        """
        _standard._default_context.set_start_method(method, force)

    def get_start_method(self, allow_none: bool = False) -> str | None:
        """Return the default start method; with `allow_none`, None if nobody has set it yet."""
        return _standard._default_context.get_start_method(allow_none)


class ForkContext(_Ours, _standard.ForkContext):
    """The context of the start method "fork"."""


class SpawnContext(_Ours, _standard.SpawnContext):
    """The context of the start method "spawn"."""


class ForkServerContext(_Ours, _standard.ForkServerContext):
    """The context of the start method "forkserver"."""


_default_context = DefaultContext()
_concrete_contexts = {"fork": ForkContext(), "spawn": SpawnContext(), "forkserver": ForkServerContext()}
_twins = {type(_standard._concrete_contexts[method]): context for method, context in _concrete_contexts.items()}


def ours(context: BaseContext) -> BaseContext:
    """Our twin of a context of the standard library's; itself, if it is somebody else's."""
    return _twins.get(type(context), context)


def __getattr__(name: str) -> Any:
    return getattr(_standard, name)
