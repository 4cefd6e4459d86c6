"""`ThreadPoolExecutor`: what happens once in a pool's or a worker's life. What happens for each job is native."""

from __future__ import annotations

import itertools
import math
import os
import queue
import sys
import threading
import time
import types
import weakref
from collections import deque
from concurrent.futures import _base, thread

from fenshen import _threads
from fenshen._kind import Kind
from fenshen._threads import Future, PoolCore, WorkQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = ["ThreadPoolExecutor"]

_threads.meet_pools()


class _WorkItem:
    """A job that was taken out of a `_work_queue`."""

    __slots__ = ("args", "context", "fn", "future", "kwargs")

    def __init__(self, future: Any, fn: Callable[..., Any], args: Any, kwargs: Any, context: Any = None) -> None:
        self.future = future
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.context = context

    def run(self) -> None:
        """Make the call, unless its future was cancelled."""
        if not self.future.set_running_or_notify_cancel():
            return
        call = self.fn if self.context is None else self.context.run
        args = self.args if self.context is None else (self.fn, *self.args)
        try:
            result = call(*args, **self.kwargs)
        except BaseException as exc:
            self.future.set_exception(exc)
            # The traceback knows this frame, which would know the exception by its future.
            self = None  # type: ignore[assignment]
        else:
            self.future.set_result(result)

    __class_getitem__ = classmethod(types.GenericAlias)


class _IdleSemaphore:
    """How many workers have nothing to do, as a semaphore: what the standard library's pool counts them by."""

    __slots__ = ("_pool",)

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    @property
    def _value(self) -> int:
        return self._pool._idle

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Claim an idle worker; False at once if there is none."""
        idle = self._pool._idle
        if idle > 0:
            self._pool._idle = idle - 1
        return idle > 0

    def release(self, n: int = 1) -> None:
        """Count more idle workers."""
        self._pool._idle += n


class ThreadPoolExecutor(PoolCore, thread.ThreadPoolExecutor, metaclass=Kind):
    """A pool of threads, as `concurrent.futures.ThreadPoolExecutor`.

    A job runs in a copy of the context in which it was submitted; variables that only the worker's `initializer` has
    set are there too.
    """

    __standard__ = thread.ThreadPoolExecutor
    submit = PoolCore.submit
    _counter = itertools.count().__next__

    def __getstate__(self) -> Any:
        raise TypeError("cannot pickle '_queue.SimpleQueue' object")

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., Any] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_pending: int | None = None,
        block: bool = True,
    ) -> None:
        """A pool of up to `max_workers` threads, by default four more than there are CPUs, 32 at most.

        Each worker calls `initializer(*initargs)` first. With `max_pending`, `submit()` and `map()` wait while that
        many jobs wait for a worker; with `block=False` they raise `queue.Full` instead. Raises ValueError if a number
        is not positive, TypeError if `initializer` can't be called.
        """
        if max_workers is None:
            max_workers = min(32, (_cpu_count() or 1) + 4)
        if max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_pending is not None and max_pending <= 0:
            raise ValueError("max_pending must be greater than 0")
        PoolCore.__init__(
            self, math.ceil(max_workers), max_pending, block
        )  # a share of the CPUs, say, is no whole number
        self._threads: set[threading.Thread] = set()
        self._shutdown_lock = threading.Lock()
        self._thread_name_prefix = thread_name_prefix or f"ThreadPoolExecutor-{self._counter()}"
        self._initializer = initializer
        self._initargs = initargs
        self._foreign = type(self)._adjust_thread_count is not ThreadPoolExecutor._adjust_thread_count

    # -- Workers ------------------------------------------------------------------------------------------------------

    def _adjust_thread_count(self) -> None:
        """Start a worker for a job that was just put in, unless there is an idle one or there are enough."""
        if self._idle_semaphore.acquire(timeout=0):
            return
        count = len(self._threads)
        if count < self._max_workers:
            work_queue = self._work_queue
            target = work_queue._live if isinstance(work_queue, WorkQueue) else _ForeignWorker(work_queue)
            worker = threading.Thread(
                name=f"{self._thread_name_prefix or self}_{count}",
                target=target,
                args=(weakref.ref(self, _waker(work_queue)), self._initializer, self._initargs),
            )
            worker.start()
            self._threads.add(worker)
            self._started = len(self._threads)
            thread._threads_queues[worker] = work_queue  # type: ignore[index]

    def _initializer_failed(self) -> None:
        with self._shutdown_lock:
            self._broken = "A thread initializer failed, the thread pool is not usable anymore"
            for future in _drained(self._work_queue):
                if future.set_running_or_notify_cancel():
                    future.set_exception(thread.BrokenThreadPool(self._broken))

    @property
    def _idle_semaphore(self) -> Any:
        return self.__dict__.get("_own_idle_semaphore") or _IdleSemaphore(self)

    @_idle_semaphore.setter
    def _idle_semaphore(self, semaphore: Any) -> None:
        self.__dict__["_own_idle_semaphore"] = semaphore
        self._foreign = True

    @property
    def _work_queue(self) -> Any:
        """Where jobs wait for a worker. A program may put another queue in its place."""
        return self.__dict__.get("_own_work_queue", self._queue)

    @_work_queue.setter
    def _work_queue(self, work_queue: Any) -> None:
        self.__dict__["_own_work_queue"] = work_queue
        self._foreign = True

    def _submit_foreign(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """`submit()` of a pool whose queue or way of starting workers is the program's own."""
        with self._shutdown_lock, thread._global_shutdown_lock:
            if self._broken:
                raise thread.BrokenThreadPool(self._broken)
            if self._shutdown:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if thread._shutdown:
                raise RuntimeError("cannot schedule new futures after interpreter shutdown")
            future: Future[Any] = Future()
            self._work_queue.put(_WorkItem(future, fn, args, kwargs))
            self._adjust_thread_count()
            return future

    # -- Many calls ---------------------------------------------------------------------------------------------------

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """`map(fn, *iterables)`, with the calls made by the workers.

        All calls are submitted at once, or, with `buffersize`, no more than so many beyond those whose results were
        taken. `chunksize` means nothing here. The iterator raises TimeoutError if a result is not there `timeout`
        seconds after the call, None for never, and what a call raised. Raises TypeError or ValueError if `buffersize`
        is not a positive number or None.
        """
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        end = None if timeout is None else timeout + time.monotonic()
        calls = zip(*iterables)  # noqa: B905
        first = calls if buffersize is None else itertools.islice(calls, buffersize)
        futures = deque(self.submit(fn, *args) for args in first)
        pool = None if buffersize is None else weakref.ref(self)
        # Not a generator itself: the calls are submitted before the first result is asked for.
        return _results(futures, end, pool, fn, calls)

    # -- The end ------------------------------------------------------------------------------------------------------

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more jobs, and have the workers end when they have done those that wait.

        With `cancel_futures`, those that wait are cancelled. With `wait`, returns when the workers have ended. If
        Ctrl-C interrupts that, the interpreter's exit doesn't wait for them either.
        """
        try:
            with self._shutdown_lock:
                self._close()
                if cancel_futures:
                    for future in _drained(self._work_queue):
                        future.cancel()
                self._work_queue.put(None)
            if wait:
                for worker in self._threads:
                    worker.join()
        except KeyboardInterrupt:
            if wait:
                _abandon(self._threads)
            raise


def _cpu_count() -> int | None:
    return os.process_cpu_count() if sys.version_info >= (3, 13) else os.cpu_count()


def _results(futures: deque[Any], end: float | None, pool: Any, fn: Any, calls: Iterator[Any]) -> Iterator[Any]:
    try:
        while futures:
            if pool is not None and (executor := pool()) is not None and (args := next(calls, None)) is not None:
                futures.append(executor.submit(fn, *args))
                del executor, args
            # No reference to a future or a result may stay behind.
            yield _result_or_cancel(futures.popleft(), end)
    finally:
        for future in futures:
            future.cancel()


def _result_or_cancel(future: Any, end: float | None) -> Any:
    try:
        try:
            return future.result(None if end is None else end - time.monotonic())
        finally:
            future.cancel()
    finally:
        # The exception's traceback knows this frame.
        del future


def _drained(work_queue: Any) -> list[Any]:
    """Empty a work queue; returns the futures of what was in it."""
    if isinstance(work_queue, WorkQueue):
        return work_queue._drain()
    futures = []
    while True:
        try:
            item = work_queue.get_nowait()
        except queue.Empty:
            return futures
        if item is not None:
            futures.append(item.future)


def _waker(work_queue: Any) -> Callable[[Any], None] | None:
    """What wakes the workers of a queue of the program's own when their pool is gone; ours need no telling."""
    return None if isinstance(work_queue, WorkQueue) else lambda _, put=work_queue.put: put(None)


class _ForeignWorker:
    """A worker on a queue of the program's own."""

    def __init__(self, work_queue: Any) -> None:
        self._queue = work_queue

    def __call__(self, executor: Any, initializer: Callable[..., Any] | None, initargs: Iterable[Any]) -> None:
        if initializer is not None:
            try:
                initializer(*initargs)
            except BaseException:
                _base.LOGGER.critical("Exception in initializer:", exc_info=True)
                if (pool := executor()) is not None:
                    pool._initializer_failed()
                return
        try:
            self._serve(executor)
        except BaseException:
            _base.LOGGER.critical("Exception in worker", exc_info=True)

    def _serve(self, executor: Any) -> None:
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                if (pool := executor()) is not None:
                    pool._idle_semaphore.release()
                del pool
                item = self._queue.get(block=True)
            if item is not None:
                item.run()
                del item
                continue
            pool = executor()
            if thread._shutdown or pool is None or pool._shutdown:
                if pool is not None:
                    pool._shutdown = True
                self._queue.put(None)  # for the next worker
                return
            del pool


# -- The interpreter's exit -------------------------------------------------------------------------------------------


def _abandon(workers: Iterable[threading.Thread]) -> None:
    """Have the interpreter's exit not wait for these threads: somebody has lost patience with them already."""
    for worker in list(workers):
        thread._threads_queues.pop(worker, None)  # type: ignore[call-overload]
        worker.__dict__["_fenshen_waited"] = True
        if sys.version_info < (3, 13):
            threading._shutdown_locks.discard(worker._tstate_lock)  # type: ignore[attr-defined]
    if sys.version_info >= (3, 13):
        threading._thread_shutdown = _wait_for_others  # type: ignore[attr-defined]


def _wait_for_others() -> None:
    """What the interpreter's exit does from 3.13 on, with a list that only C reaches: wait for all threads but daemons
    and those that were abandoned.
    """
    main = threading.main_thread()
    while left := [
        other
        for other in threading.enumerate()
        if other is not main and not other.daemon and not other.__dict__.get("_fenshen_waited")
    ]:
        for other in left:
            other.join()


# After the standard library's own, so that it runs before: that one wakes the workers and waits for them.
threading._register_atexit(_threads.end_pools)  # type: ignore[attr-defined]
