"""What a group knows of its children, however it was entered: who lives, what failed, and whether all are to end."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import threading
import time

from fenshen import _carried
from fenshen._cancelling import checkpoint
from fenshen._groups import late
from fenshen._groups.core import GroupCore
from fenshen._groups.handles import Handle, ProcessHandle, ThreadHandle, name_of
from fenshen._groups.shielding import is_shielded, shielded_tasks

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

__all__ = ["Children"]

#: How many threads of its own a group has at most.
_THREADS = 32


class Children(GroupCore):
    """The children of a group. What differs by how it was entered is in the class that derives from this one, and in
    `Plain`; what is done for each child of an `async with` is in the core.
    """

    # Few groups have more than the core's own fields.
    _name: str | None = None
    _deadline: float | None = None
    _told: frozenset[int] = frozenset()
    _thread_pool: Any = None
    _process_pool: Any = None
    _own_pool: Any = None
    _signals: tuple[int, ...] = ()
    _grace = 10.0
    _registration: Any = None

    def _end_in(self, timeout: float | None, deadline: float | None) -> None:
        """Have the group be cancelled at the earlier of the two."""
        self._deadline = deadline
        if timeout is not None:
            ends = time.monotonic() + timeout
            self._deadline = ends if deadline is None else min(ends, deadline)

    def __repr__(self) -> str:
        info = [""] if self._name is None else ["", repr(self._name)]
        if self._tasks:
            info.append(f"tasks={len(self._tasks)}")
        if self._errors:
            info.append(f"errors={len(self._errors)}")
        if self._aborting:
            info.append("cancelling")
        elif self._entered:
            info.append("entered")
        return f"<{type(self).__name__}{' '.join(info)}>"

    # -- Who comes ----------------------------------------------------------------------------------------------------

    def _refusal(self) -> str | None:
        """Why there can be no more children."""
        if not self._entered:
            return f"TaskGroup {self!r} has not been entered"
        if self._finished or (self._exiting and not self._tasks):
            return f"TaskGroup {self!r} is finished"
        return f"TaskGroup {self!r} is shutting down" if self._aborting else None

    def _check(self) -> None:
        refusal = self._refusal()
        if refusal is not None:
            if self._aborting:
                self._cancel_caller()
                checkpoint()
            raise RuntimeError(refusal)

    def _cancel_caller(self) -> None:
        """Cancel the child that the calling thread runs: it may come here before its turn to be cancelled."""
        me = threading.get_ident()
        with self._lock:
            mine = [child for child in self._tasks if getattr(child, "ident", None) == me]
        for child in mine:
            child.cancel()

    def to_thread(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]:
        """Call `fn(*args, **kwargs)` in a thread, in a copy of the present context; returns its handle.

        Up to 32 threads of the group's own run at a time, or as many as `thread_pool` has. May be called from any
        thread. Raises RuntimeError if the group was not entered, is shutting down or is finished.
        """
        self._check()
        handle: ThreadHandle[T] = ThreadHandle(name_of(fn))
        handle.submit(self._threads(), fn, args, kwargs)
        self._adopt(handle)
        return handle

    def _threads(self) -> Any:
        if self._thread_pool is not None:
            return self._thread_pool
        with self._lock:
            if self._own_pool is None:
                from fenshen.futures import ThreadPoolExecutor

                self._own_pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=self._name or "TaskGroup")
                self._held = True
            return self._own_pool

    def to_process(self, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Handle[Any]:
        """Call `fn(*args, **kwargs)` in another process; returns its handle. Cancelling it ends the call at once.

        The process is one of `process_pool`, or of those that `fenshen.to_process` uses. A coroutine function runs on
        an event loop there, together with others. Context variables that are a module's globals travel along if their
        values can be pickled. May be called from any thread. Raises RuntimeError as `to_thread()`; what cannot be
        pickled is the child's error.
        """
        self._check()
        handle: ProcessHandle[Any] = ProcessHandle(name_of(fn))
        handle.adopt(self._submit(fn, args, kwargs))
        self._adopt(handle)
        return handle

    def _submit(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        pool = self._process_pool
        if inspect.iscoroutinefunction(fn):
            from fenshen import _process_tasks

            return _process_tasks.submit(pool, fn, args, kwargs)
        if pool is None:
            from fenshen import _to_process

            pool = _to_process.pool()
        submit = pool.submit
        if asyncio._get_running_loop() is not None:  # which the start of a pool's first worker would hold up
            submit = getattr(pool, "_submit_aside", submit)
        variables = _carried.pick()
        if variables:
            return submit(_carried.call, variables, fn, *args, **kwargs)
        return submit(fn, *args, **kwargs)

    def _adopt(self, handle: Any) -> None:
        """Have a child that was begun be one of ours."""
        added = self._add(handle)
        if not added or self._aborting:  # since it was asked whether there can be more
            handle.cancel()
        if not added:
            raise RuntimeError(f"TaskGroup {self!r} is finished")
        self._watch(handle)

    # -- Who goes -----------------------------------------------------------------------------------------------------

    def _watch(self, handle: Any) -> None:
        """Have `handle`'s end be noted."""
        raise NotImplementedError

    def _abort(self, msg: Any = None) -> None:
        """Cancel every child. What interrupts that (Ctrl-C, this thread's own cancellation) is raised in the end."""
        self._aborting = True
        waits = bool(self._tasks)
        others, interrupted = self._cancel_tasks(shielded_tasks(), msg)
        why = () if msg is None else (msg,)
        for child in others:
            if not child.done() and not is_shielded(child):
                try:
                    child.cancel(*why)
                except BaseException as e:
                    interrupted = interrupted or e
                    with contextlib.suppress(Exception):
                        child.cancel(*why)
        if waits:
            self._wait_for_late()
        if interrupted is not None:
            raise interrupted

    def _wait_for_late(self) -> None:
        """Have `_tell_late()` called in a while."""
        raise NotImplementedError

    def _tell_late(self) -> None:
        with self._lock:
            late_ones = [child for child in self._tasks if id(child) not in self._told]
            self._told |= frozenset(map(id, late_ones))
        late.tell(repr(self) if self._name is None else f"TaskGroup {self._name!r}", late_ones)

    # -- Signals ------------------------------------------------------------------------------------------------------

    def _heed_signals(self, loop: Any) -> None:
        """Have the first of the group's signals give it its grace, and the second end it, on that loop's thread."""
        if self._signals:
            from fenshen import _shutdown

            def on_first(_: int) -> None:
                loop.call_later(self._grace, self.cancel)

            def on_second(_: int) -> None:
                self.cancel()

            self._registration = _shutdown.register(self._signals, on_first, on_second, loop=loop)
            self._held = True

    def cancel(self, msg: str | None = None) -> None:
        """End the group."""
        raise NotImplementedError

    # -- What comes of it ---------------------------------------------------------------------------------------------

    def _verdict(self, cancelled: BaseException | None) -> BaseException | None:
        """What the block raises, all errors being noted; `cancelled` came from outside."""
        if self._base_error is not None:
            return self._base_error
        if cancelled is not None and not self._errors:
            return cancelled
        timeout = TimeoutError("the task group's time is over") if self._timed_out else None
        if not self._errors:
            return timeout
        errors = self._errors if timeout is None else [*self._errors, timeout]
        return BaseExceptionGroup("unhandled errors in a TaskGroup", errors)


def is_cancelled_error(error: BaseException | None) -> bool:
    """Whether it is asyncio's CancelledError, or that of `concurrent.futures`."""
    from concurrent.futures import CancelledError

    return isinstance(error, (asyncio.CancelledError, CancelledError))
