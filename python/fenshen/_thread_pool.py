"""`multiprocessing.pool.ThreadPool` on the native work queue: `multiprocessing.dummy.Pool` too.

A pool of the standard library's has three threads beside its workers, which pass every task on. Here a task goes to the
workers straight from the thread that submits it, and its result back from the worker; `_pool_tasks` says how.
"""

from __future__ import annotations

import multiprocessing.pool as _standard
import os
import sys
import weakref
from multiprocessing import get_context, util

from fenshen._kind import Kind
from fenshen._pool_tasks import Tasks, cancelled
from fenshen._threads import PoolCore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["Pool", "ThreadPool"]


class _Task:
    """One call, and where its outcome goes."""

    __slots__ = ("args", "func", "index", "job", "kwargs", "tasks")

    def __init__(self, tasks: _Tasks, job: int, index: int, func: Any, args: Any, kwargs: Any) -> None:
        self.tasks = tasks
        self.job = job
        self.index = index
        self.func = func
        self.args = args
        self.kwargs = kwargs

    @property
    def future(self) -> _Task:
        """Itself: what a work queue that is emptied gives back."""
        return self

    def run(self) -> None:
        """Make the call."""
        outcome: tuple[bool, Any]
        try:
            outcome = (True, self.func(*self.args, **self.kwargs))
        except BaseException as exc:
            outcome = (False, exc)
        self.func = self.args = self.kwargs = None
        try:
            self.tasks.deliver(self.job, self.index, outcome)
        finally:
            outcome = None  # type: ignore[assignment]  # the traceback of an exception knows this frame

    def discard(self, why: BaseException) -> None:
        """Have nobody wait for it, and call no callback."""
        self.tasks.discard(self.job, self.index, why)


class _Tasks(Tasks):
    """The tasks of a pool of threads, in their work queue."""

    def __init__(self, core: Any, cache: dict[int, Any]) -> None:
        super().__init__(cache)
        self._core = core
        self._work = core._queue

    def qsize(self) -> int:
        """How many tasks wait for a worker."""
        return self._work.qsize()

    def _send(self, parts: Any) -> None:
        self._work.put(_Task(self, *parts))

    def _throw_away(self) -> None:
        for task in self._work._drain():
            task.discard(cancelled())

    def _end_workers(self) -> None:
        self._core._close()


class ThreadPool(_standard.ThreadPool, metaclass=Kind):
    """A pool of threads with the methods of `multiprocessing.Pool`, as `multiprocessing.pool.ThreadPool`."""

    __standard__ = _standard.ThreadPool

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., Any] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        """A pool of `processes` threads, by default as many as there are CPUs, each of which calls
        `initializer(*initargs)` first.

        Raises ValueError if `processes` is less than one, TypeError if `initializer` can't be called.
        """
        self._pool: list[Any] = []
        self._state = _standard.INIT
        self._ctx = get_context()
        if processes is None:
            processes = (os.process_cpu_count() if sys.version_info >= (3, 13) else os.cpu_count()) or 1
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._processes = processes
        self._initializer = initializer
        self._initargs = initargs
        self._maxtasksperchild = None
        self._cache: dict[int, Any] = {}
        self._core = PoolCore(processes, None, True)
        self._inqueue = self._core._queue
        self._taskqueue = _Tasks(self._core, self._cache)
        for _ in range(processes):
            self._pool.append(self._start_worker())
        self._terminate = util.Finalize(self, self._taskqueue.end, args=(True,), exitpriority=15)
        self._state = _standard.RUN

    def _start_worker(self) -> Any:
        args = (weakref.ref(self), self._initializer, self._initargs)
        worker = self.Process(self._ctx, target=self._inqueue._live, args=args)
        worker.name = worker.name.replace("(_live)", "(worker)")
        worker.daemon = True
        worker.start()
        self._core._started += 1
        return worker

    def _initializer_failed(self) -> None:
        """The standard library's pool starts another worker, which fails too, for ever."""
        tasks = self._taskqueue
        tasks.broken = RuntimeError("the initializer of a worker of the pool failed")
        for task in self._inqueue._drain():
            task.discard(tasks.broken)

    def close(self) -> None:
        """Take no more tasks; the workers end when they have done those that wait."""
        if self._state == _standard.RUN:
            self._state = _standard.CLOSE
            self._taskqueue.end(at_once=False)

    def terminate(self) -> None:
        """Take no more tasks, and drop those that wait: whoever waits for one gets a CancelledError."""
        self._state = _standard.TERMINATE
        self._terminate()

    def join(self) -> None:
        """Wait until the workers have ended. Raises ValueError before `close()` or `terminate()`."""
        if self._state == _standard.RUN:
            raise ValueError("Pool is still running")
        if self._state not in (_standard.CLOSE, _standard.TERMINATE):
            raise ValueError("In unknown state")
        for thread in self._pool:
            thread.join()
        for thread in self._taskqueue.helpers:
            thread.join()


def Pool(processes: int | None = None, initializer: Any = None, initargs: Iterable[Any] = ()) -> ThreadPool:
    """`multiprocessing.dummy.Pool`: a `ThreadPool`."""
    return ThreadPool(processes, initializer, initargs)
