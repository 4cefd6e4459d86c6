"""`multiprocessing.pool.ThreadPool` on the native work queue: `multiprocessing.dummy.Pool` too.

A pool of the standard library's has three threads beside its workers, which pass every task on. Here a task goes to the
workers straight from the thread that submits it, and its result back from the worker. Two of those threads remain, each
started when it is needed: one takes the items of `imap()`, which may never end, and one calls the callbacks, one at a
time.
"""

from __future__ import annotations

import multiprocessing.pool as _standard
import os
import sys
import threading
import weakref
from concurrent.futures import CancelledError
from multiprocessing import get_context, util
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from fenshen._kind import Kind
from fenshen._threads import PoolCore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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


class _Tasks:
    """What a pool puts its tasks into: `put((tasks, set_length))`, as it does into its `_taskqueue`."""

    def __init__(self, core: Any, cache: dict[int, Any]) -> None:
        self._core = core
        self._work = core._queue
        self._cache = cache
        self._lock = threading.Lock()
        self._setting = threading.Lock()
        self._feed: SimpleQueue[Any] | None = None
        self._outcomes: SimpleQueue[Any] | None = None
        self._closed = False
        self._over = False
        # How many threads are putting tasks in, and whether the helper that takes the items of `imap()` still is: until
        # they are done, the workers stay.
        self._adding = 0
        self._taking = False
        self.broken: BaseException | None = None
        self.helpers: list[threading.Thread] = []

    def qsize(self) -> int:
        """How many tasks wait for a worker."""
        return self._work.qsize()

    def empty(self) -> bool:
        """Whether none does."""
        return self._work.empty()

    def put(self, sequence: Any) -> None:
        """Take tasks: at once, unless their number is told when there are no more."""
        tasks, set_length = sequence
        if set_length is None:
            self._add_all(tasks)
            return
        with self._lock:
            if self._feed is None:
                self._taking = True
                self._feed = self._help(self._take_items, "_handle_tasks")
        self._feed.put(sequence)

    def _add_all(self, tasks: Iterable[Any]) -> None:
        with self._lock:
            late = self._closed
            self._adding += 1
        try:
            for parts in tasks:
                if late:
                    self.discard(*parts[:2], _cancelled())
                else:
                    self._add(parts)
        finally:
            with self._lock:
                self._adding -= 1
            self._close()

    def _add(self, parts: Any) -> None:
        task = _Task(self, *parts)
        if self.broken is not None:
            task.discard(self.broken)
            return
        self._work.put(task)
        if self._over:  # said before what waits is thrown away: one of the two sees the task
            self._throw_away()

    def _throw_away(self) -> None:
        for task in self._work._drain():
            task.discard(_cancelled())

    def _close(self) -> None:
        """Have the workers end, if no more tasks will come."""
        with self._lock:
            over = self._closed and not self._adding and not self._taking
        if over:
            self._core._close()

    def _help(self, target: Callable[..., None], name: str) -> SimpleQueue[Any]:
        queue: SimpleQueue[Any] = SimpleQueue()
        helper = threading.Thread(target=target, args=(queue,), daemon=True)
        helper.name = f"{helper.name.partition(' ')[0]} ({name})"
        helper.start()
        self.helpers.append(helper)
        return queue

    def _take_items(self, feed: SimpleQueue[Any]) -> None:
        for tasks, set_length in iter(feed.get, None):
            count = 0
            for parts in tasks:
                count += 1
                if self._over:
                    job, index = parts[:2]
                    self.discard(job, index, _cancelled())
                    break
                self._add(parts)
                del parts
            set_length(count)
            tasks = set_length = None
        self._taking = False
        self._close()

    def deliver(self, job: int, index: int, outcome: tuple[bool, Any]) -> None:
        """An outcome for the result that waits for it, by way of its callbacks."""
        result = self._cache.get(job)
        if result is None:
            return
        if getattr(result, "_callback", None) or getattr(result, "_error_callback", None):
            with self._lock:
                if self._outcomes is None:
                    self._outcomes = self._help(self._call_back, "_handle_results")
            self._outcomes.put((result, index, outcome))
            return
        with self._setting:
            result._set(index, outcome)
        self._settle()

    def _call_back(self, outcomes: SimpleQueue[Any]) -> None:
        for result, index, outcome in iter(outcomes.get, None):
            try:
                result._set(index, outcome)
            except BaseException:
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
                _end(result, *outcome)
            result = outcome = None
            self._settle()

    def discard(self, job: int, index: int, why: BaseException) -> None:
        """A task will not be made."""
        result = self._cache.get(job)
        if result is None:
            return
        if hasattr(result, "_event"):
            _end(result, False, why)
        else:
            result._set(index, (False, why))

    def end(self, at_once: bool) -> None:
        """No more tasks will come; with `at_once`, those that wait are not made."""
        self._over = at_once
        if at_once:
            self._core._close()
            self._throw_away()
        with self._lock:
            self._closed = True
            if self._feed is not None:
                self._feed.put(None)
        self._close()
        self._settle()

    def _settle(self) -> None:
        """Have the thread that calls the callbacks end, if there will be no more."""
        if self._closed and not self._cache and self._outcomes is not None:
            self._outcomes.put(None)


def _end(result: Any, success: bool, value: Any) -> None:
    """End a result whose callback failed, or which will never be had."""
    if not result._event.is_set():
        result._success, result._value = success, value
        result._cache.pop(result._job, None)
        result._event.set()
        result._pool = None


def _cancelled() -> CancelledError:
    return CancelledError("the pool was terminated")


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
