"""What managers keep in shared memory: locks, events and values, as `threading` has them, for processes.

One of these is what a proxy refers to, and lies in the manager's process like any referent. A process of this machine
gets a copy that acts on the same memory; then nobody has to be asked. Whoever waits looks now and then whether the
manager lives, and gets EOFError, as one who waits for its answer does, if not.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import threading
import time
from multiprocessing import managers as _standard
from multiprocessing.reduction import ForkingPickler

from fenshen import _processes
from fenshen.multiprocessing import synchronize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fenshen._processes import Life

# How often a waiter looks whether the manager lives, in seconds.
LOOK = 0.2


class Shared:
    """What they have in common: pickled for a channel of ours, it is the same thing elsewhere."""

    # The manager's; None in its own process.
    life: Life | None = None

    def bind(self, life: Life) -> None:
        """Die with the manager, from now on."""
        self.life = life

    def _keep(self, *parts: Any) -> None:
        """Have these parts, which are what is pickled."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (type(self), *self._parts())

    def _parts(self) -> tuple[Any, ...]:
        raise NotImplementedError


def _rebuild(kind: type[Shared], *parts: Any) -> Shared:
    made = kind.__new__(kind)
    made._keep(*parts)
    return made


class Lock(Shared):
    """A `threading.Lock`."""

    _forever: float | None = -1
    # What raises for the arguments that this one takes, too.
    _model: Callable[..., Any] = threading.Lock

    def __init__(self) -> None:
        self._keep(synchronize.Lock(ctx=None))

    def _keep(self, *parts: Any) -> None:
        (self.lock,) = parts
        self._take = self.lock.acquire

    def _parts(self) -> tuple[Any, ...]:
        return (self.lock,)

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        if timeout == self._forever:
            return self._take(False) or (bool(blocking) and self._wait(None))
        type(self)._model().acquire(blocking, timeout)
        return self._take(False) or (bool(blocking) and self._wait(timeout))

    def _wait(self, seconds: float | None) -> bool:
        life = self.life
        if life is None:
            return self._take(True, seconds)
        limit = None if seconds is None else time.monotonic() + seconds
        while True:
            pause = LOOK if limit is None else min(LOOK, limit - time.monotonic())
            if self._take(True, max(pause, 0)):
                return True
            if limit is not None and time.monotonic() >= limit:
                return False
            if life.is_over():
                raise EOFError

    def release(self) -> None:
        try:
            self.lock.release()
            return
        except (ValueError, AssertionError):
            pass
        type(self)._model().release()

    def is_owned(self) -> bool:
        """Whether somebody has it: who has a lock that anybody may release cannot be told."""
        return self.lock._semlock._is_zero()

    def release_all(self) -> Callable[[], None]:
        """Release it; returns what takes it back."""
        self.release()
        return self._take_back

    def _take_back(self) -> None:
        self.acquire()

    def __repr__(self) -> str:
        model = type(self)._model()
        if self.lock._semlock._is_zero():
            model.acquire()
        return repr(model)


class RLock(Lock):
    """A `threading.RLock`, owned by a thread of any process."""

    _model = threading.RLock

    def __init__(self) -> None:
        self._keep(synchronize.RLock(ctx=None))

    def is_owned(self) -> bool:
        return self.lock._semlock._is_mine()

    def release_all(self) -> Callable[[], None]:
        depth = self.lock._semlock._count()
        for _ in range(depth):
            self.lock.release()

        def take_back() -> None:
            for _ in range(depth):
                self.acquire()

        return take_back


class Semaphore(Lock):
    """A `threading.Semaphore`."""

    _forever = None
    _model = threading.Semaphore
    _kind: Callable[..., Any] = synchronize.Semaphore

    def __init__(self, value: int = 1) -> None:
        type(self)._model(value)
        self._keep(type(self)._kind(value, ctx=None))

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        return super().acquire(blocking, timeout)

    def release(self, n: int = 1) -> None:
        for _ in range(n):
            super().release()

    def __repr__(self) -> str:
        return repr(type(self)._model(self.lock._semlock._get_value()))


class BoundedSemaphore(Semaphore):
    """A `threading.BoundedSemaphore`."""

    _model = threading.BoundedSemaphore
    _kind = synchronize.BoundedSemaphore


def _seconds(timeout: float | None) -> float | None:
    """A timeout that is not negative. Raises TypeError, in `threading`'s words, for what is no number."""
    return timeout if timeout is None or timeout > 0 else 0


class Event(Shared):
    """A `threading.Event`."""

    def __init__(self) -> None:
        self._keep(_processes.Block(64))

    def _keep(self, *parts: Any) -> None:
        (self._block,) = parts
        flag = _processes.Flag(self._block)
        self.is_set, self.set, self.clear, self._wait = flag.is_set, flag.set, flag.clear, flag.wait

    def _parts(self) -> tuple[Any, ...]:
        return (self._block,)

    def wait(self, timeout: float | None = None) -> bool:
        return self._wait(_seconds(timeout), self.life)

    def __repr__(self) -> str:
        model = threading.Event()
        if self.is_set():
            model.set()
        return repr(model)


class Condition(Shared):
    """A `threading.Condition`."""

    def __init__(self, lock: Lock | None = None) -> None:
        self._keep(RLock() if lock is None else lock, _processes.Block(_processes.Waiters.size))

    def _keep(self, *parts: Any) -> None:
        self._lock, self._block = parts
        self._waiters = _processes.Waiters(self._block)

    def bind(self, life: Life) -> None:
        self.life = self._lock.life = life

    def _parts(self) -> tuple[Any, ...]:
        return self._lock, self._block

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        if not self._lock.is_owned():
            raise RuntimeError("cannot wait on un-acquired lock")
        take_back = None

        def release() -> None:
            nonlocal take_back
            take_back = self._lock.release_all()

        try:
            return self._waiters.wait(release, _seconds(timeout), self.life)
        finally:
            if take_back is not None:
                take_back()

    def notify(self, n: int = 1) -> None:
        if not self._lock.is_owned():
            raise RuntimeError("cannot notify on un-acquired lock")
        self._waiters.notify(n)

    def notify_all(self) -> None:
        self.notify(1 << 30)

    def __repr__(self) -> str:
        return f"<Condition({self._lock!r}, 0)>"


class Barrier(Shared):
    """A `threading.Barrier` without an action."""

    def __init__(self, parties: int, timeout: float | None = None) -> None:
        threading.Barrier(parties)
        self._keep(parties, timeout, _processes.Block(64))

    def _keep(self, *parts: Any) -> None:
        self.parties, self._timeout, self._block = parts
        self._gate = _processes.Gate(self._block, self.parties)

    def _parts(self) -> tuple[Any, ...]:
        return self.parties, self._timeout, self._block

    def wait(self, timeout: float | None = None) -> int:
        index = self._gate.wait(self._timeout if timeout is None else timeout, self.life)
        if index is None:
            raise threading.BrokenBarrierError
        return index

    def abort(self) -> None:
        self._gate.abort()

    def reset(self) -> None:
        self._gate.reset()

    @property
    def n_waiting(self) -> int:
        return self._gate.waiting

    @property
    def broken(self) -> bool:
        return self._gate.broken

    def __repr__(self) -> str:
        model = threading.Barrier(self.parties)
        if self.broken:
            model.abort()
            return repr(model)
        return repr(model).replace("waiters=0/", f"waiters={self.n_waiting}/")


class _NotAlone(Exception):
    """Something in a value means something to the process that has it only."""


class _Reducers(dict):  # type: ignore[type-arg]
    """Refuses what pickles in a way of its own between processes: what it refers to would have to be kept."""

    def __getitem__(self, kind: type) -> Any:
        own = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
        if kind in own or issubclass(kind, _standard.BaseProxy):
            raise _NotAlone
        return copyreg.dispatch_table[kind]


def _pickle(value: object) -> bytes | None:
    """A value as bytes that anybody may load, any number of times; None if there are none."""
    out = io.BytesIO()
    pickler = pickle.Pickler(out)
    pickler.dispatch_table = _Reducers()
    try:
        pickler.dump(value)
    except Exception:
        return None  # the manager says what is wrong with it, or keeps it
    return out.getvalue()


class Value(Shared, _standard.Value):  # type: ignore[misc]
    """The value of `Manager().Value`: in shared memory if it is small and nothing but data, else in the manager."""

    def __init__(self, typecode: Any, value: Any, lock: Any = True) -> None:
        self._keep(typecode, _processes.Block(_processes.Cell.size), True)
        self._guard = threading.Lock()
        self.set(value)

    def _keep(self, *parts: Any) -> None:
        self._typecode, self._block, *make = parts
        cell = self._cell = _processes.Cell(self._block, bool(make))
        self.get_here, self._set = cell.get, cell.set

    def _parts(self) -> tuple[Any, ...]:
        return self._typecode, self._block

    def set_here(self, value: Any) -> bool:
        """Set the value if it can lie in shared memory."""
        if self._set(value):
            return True
        packed = _pickle(value)
        return packed is not None and self._cell.set_pickled(packed)

    def get(self) -> Any:
        value = self.get_here()
        return self._elsewhere if value is NotImplemented else value

    def set(self, value: Any) -> None:
        if not self.set_here(value):
            with self._guard:
                self._elsewhere = value
                self._cell.set_elsewhere()

    value = property(get, set)

    @property
    def _value(self) -> Any:
        return self.get()


def make_condition(lock: Any = None) -> Any:
    """A `Condition`, of a lock that lies here, or of any other that the manager has to ask for."""
    here = lock if lock is None or isinstance(lock, Lock) else getattr(lock, "_referent", lambda: None)()
    if lock is not None and not isinstance(here, Lock):
        return threading.Condition(lock)
    return Condition(here)


def make_barrier(parties: int, action: Callable[[], object] | None = None, timeout: float | None = None) -> Any:
    """A `Barrier`; one with an action, which is the manager's to do, is the manager's own."""
    return threading.Barrier(parties, action, timeout) if action is not None else Barrier(parties, timeout)
