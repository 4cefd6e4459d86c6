"""`ProcessPoolExecutor`: what happens once in a pool's life. What happens for each task is native."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import threading
import weakref
from concurrent.futures import process

from fenshen import _starting, _task_errors
from fenshen._kind import Kind
from fenshen._process_map import mapped
from fenshen._supervisor import Supervisor
from fenshen._threads import Future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from typing import Any, ParamSpec, TypeVar

    from fenshen._stream import Stream

    P = ParamSpec("P")
    T = TypeVar("T")

__all__ = ["ProcessPoolExecutor"]

#: How many items of a stream are on their way, or wait to be taken.
_AHEAD = 16
_ENDED = "A child process terminated abruptly, the process pool is not usable anymore"


def usable_cpus() -> int:
    """How many CPUs this process may use: its affinity, and the quota of its cgroup."""
    count = len(os.sched_getaffinity(0))
    for quota, period in (
        ("/sys/fs/cgroup/cpu.max", ""),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ):
        try:
            with open(quota) as file:
                words = file.read().split()
            if period:
                with open(period) as file:
                    words += file.read().split()
            share, whole = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):
            continue
        if share > 0 and whole > 0:
            count = min(count, max(1, -(-share // whole)))
    return count


def _check_workers(max_workers: int) -> None:
    if max_workers <= 0:
        raise ValueError("max_workers must be greater than 0")


class ProcessPoolExecutor(process.ProcessPoolExecutor, metaclass=Kind):
    """A pool of processes, as `concurrent.futures.ProcessPoolExecutor`, that outlives its workers.

    A worker that dies takes along the one task that it ran, whose future raises `WorkerDied`. What `pickle` refuses
    (lambdas, closures) goes by `cloudpickle`. A task's time can be limited, a lost one run again: `with_options()`.
    """

    __standard__ = process.ProcessPoolExecutor
    _cancel_running = True

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        max_memory_growth: int | None = None,
        timeout: float | None = None,
        retries: int = 0,
        cancel_running: bool | None = None,
        max_pending: int | None = None,
        logging: bool = False,
    ) -> None:
        """A pool of up to `max_workers` processes, by default one for each CPU that this process may use.

        Each worker calls `initializer(*initargs)` first, and is replaced after `max_tasks_per_child` tasks, or between
        two tasks when its process holds over `max_memory_growth` bytes more than at the end of its first one (resident
        memory of its own, after a collection of garbage). `timeout` is in seconds for each task, from the moment when
        it begins: one that runs longer fails with TimeoutError, and its worker is replaced. A task whose worker dies
        is run again up to `retries` times. With `cancel_running`, `Future.cancel()` ends a task that runs. With
        `max_pending`, `submit()` waits while that many tasks are not done. With `logging`, the workers' log records
        reach this process's handlers.

        Raises ValueError if a number is not positive or if `max_tasks_per_child` is given with the start method
        "fork", TypeError if `initializer` can't be called or a limit is no integer.
        """
        if max_workers is not None:
            _check_workers(max_workers)
        if mp_context is None:
            mp_context = mp.get_context() if max_tasks_per_child is None else mp.get_context("spawn")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._forks = mp_context.get_start_method(allow_none=False) == "fork"
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError("max_tasks_per_child must be an integer")
            if max_tasks_per_child <= 0:
                raise ValueError("max_tasks_per_child must be >= 1")
            if self._forks:
                raise ValueError(
                    "max_tasks_per_child is incompatible with the 'fork' multiprocessing start method;"
                    " supply a different mp_context."
                )
        if max_memory_growth is not None:
            if not isinstance(max_memory_growth, int):
                raise TypeError("max_memory_growth must be an integer")
            if max_memory_growth <= 0:
                raise ValueError("max_memory_growth must be >= 1")
        if max_pending is not None and max_pending <= 0:
            raise ValueError("max_pending must be greater than 0")
        self._max_workers = max_workers or usable_cpus()
        self._mp_context = mp_context
        self._initializer = initializer
        self._initargs = initargs
        self._max_tasks_per_child = max_tasks_per_child
        self._timeout = timeout
        self._retries = retries
        self._room = None if max_pending is None else threading.Semaphore(max_pending)
        self._shutdown_thread = False
        #: The workers of coroutines, once there is one: a `Crew`.
        self._crew: Any = None
        # Pickling, which it is held for, runs the user's code.
        self._shutdown_lock = threading.RLock()
        self._supervisor = Supervisor(
            mp_context,
            self._max_workers,
            initializer,
            initargs,
            kill=self._cancel_running if cancel_running is None else cancel_running,
            logs=logging,
            most=max_tasks_per_child,
            growth=max_memory_growth,
            errors=_task_errors.OF_EXECUTORS,
        )
        self._engine = self._supervisor.engine
        self._processes = self._supervisor.processes
        self._close = weakref.finalize(self, Supervisor.close, self._supervisor)
        self._close.atexit = False

    # -- What the standard library's pool shows -----------------------------------------------------------------------

    @property
    def _executor_manager_thread(self) -> threading.Thread | None:
        return self._supervisor.thread

    @property
    def _broken(self) -> str | bool:
        return _ENDED if self._supervisor.broken is not None else False

    @property
    def _pending_work_items(self) -> dict[int, Any]:
        queued, sent, _, _ = self._engine.counts()
        return dict.fromkeys(range(queued + sent))

    # -- Tasks --------------------------------------------------------------------------------------------------------

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call `fn(*args, **kwargs)`; its future.

        What cannot be pickled fails the future. Raises BrokenProcessPool if no worker can be started, RuntimeError
        after `shutdown()`.
        """
        return self._submit(fn, args, kwargs, self._timeout, self._retries)

    def _submit_aside(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The same for the thread of a loop: what the start of the first worker raises fails the future."""
        if type(self).submit is not ProcessPoolExecutor.submit:
            return self.submit(fn, *args, **kwargs)
        return self._submit(fn, args, kwargs, self._timeout, self._retries, aside=not self._forks)

    def _submit(
        self,
        fn: Callable[..., Any],
        args: Any,
        kwargs: Any,
        timeout: float | None,
        retries: int,
        aside: bool = False,
    ) -> Future[Any]:
        future: Future[Any] = Future()
        room = self._room
        if room is not None:
            room.acquire()
            future.add_done_callback(lambda _: room.release())
        try:
            self._hand_over(future, fn, args, kwargs, timeout, retries, aside=aside)
        except BaseException:
            if room is not None:
                future.cancel()
            raise
        return future

    def _hand_over(
        self,
        sink: Any,
        fn: Callable[..., Any],
        args: Any,
        kwargs: Any,
        timeout: float | None,
        retries: int,
        window: int = 0,
        aside: bool = False,
    ) -> None:
        with self._shutdown_lock:
            self._check()
            supervisor = self._supervisor
            aside = aside and supervisor.thread is None
            if aside:
                self._engine = supervisor.own_engine()
            elif supervisor.thread is None:
                self._start()
            elif not self._forks or supervisor.short:
                supervisor.adjust()
            supervisor.leave_loop()
            self._engine.submit(sink, fn, args, kwargs, timeout, retries, window)
            if aside:
                _starting.begin(supervisor, self._start)
            if supervisor.over:
                supervisor.sweep()

    def _start(self) -> None:
        """Start the first workers, unless that was done. It locks nothing that `submit()` would wait for on a loop."""
        if self._supervisor.thread is None:
            self._supervisor.start(self._max_workers if self._forks else 1)
            self._engine = self._supervisor.engine

    def stream(
        self, fn: Callable[P, Generator[T, Any, Any] | Iterable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Stream[T]:
        """Have a worker call `fn(*args, **kwargs)`, a generator function as a rule, and send what it yields.

        A `Stream`: an iterator and an asynchronous iterator. The worker runs at most 16 items ahead, or as many as
        `with_options(buffersize=...)` says, and belongs to the generator until that has ended.

        Raises what submit() raises. What cannot be pickled fails the stream.
        """
        return self._stream(fn, args, kwargs, self._timeout, self._retries, _AHEAD)

    def _stream(
        self, fn: Callable[..., Any], args: Any, kwargs: Any, timeout: float | None, retries: int, buffersize: int
    ) -> Stream[Any]:
        from fenshen._stream import Stream

        if self._supervisor.thread is None:
            self._engine = self._supervisor.own_engine()
        stream: Stream[Any] = Stream(self._engine, buffersize)
        stream._pool = self
        room = self._room
        if room is not None:
            room.acquire()
        sink = stream._sink(None if room is None else room.release)
        try:
            self._hand_over(sink, fn, args, kwargs, timeout, retries, buffersize)
        except BaseException:
            sink.cancel()
            raise
        return stream

    def _check(self, what: str = "cannot schedule new futures") -> None:
        if self._supervisor.broken is not None:
            raise process.BrokenProcessPool(_ENDED)
        if self._shutdown_thread:
            raise RuntimeError(f"{what} after shutdown")
        if process._global_shutdown:  # type: ignore[attr-defined]
            raise RuntimeError(f"{what} after interpreter shutdown")

    def with_options(
        self, *, timeout: float | None = None, retries: int | None = None, buffersize: int = _AHEAD
    ) -> Options:
        """This pool with another `timeout` in seconds, or number of `retries`, for the tasks that are submitted by it.

        `pool.with_options(timeout=2.5).submit(fn, x)`. A generator of `stream()` runs at most `buffersize` items ahead;
        its `timeout` is for all of it, and it is run again only if no item of it has come.

        Raises ValueError if `buffersize` is below 1.
        """
        if not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer")
        if buffersize < 1:
            raise ValueError("buffersize must be > 0")
        return Options(
            self,
            self._timeout if timeout is None else timeout,
            self._retries if retries is None else retries,
            buffersize,
        )

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """`map(fn, *iterables)`, with the calls made by the workers, `chunksize` of them in one task.

        By default the size of chunks is chosen by the number of calls, if that is known, and one otherwise. With
        `buffersize`, no more than that many results are computed ahead of the one that is asked for. `timeout` is in
        seconds from this call.

        Raises ValueError if `chunksize` or `buffersize` is below 1; the iterator raises what a call raises, and
        TimeoutError.
        """
        submit = self.submit
        if chunksize is None and getattr(submit, "__func__", None) is not ProcessPoolExecutor.submit:
            chunksize = 1  # who put another `submit` there counts calls by it, as the standard library's `map()` has it
        return mapped(self, submit, fn, iterables, timeout, chunksize, buffersize)

    def resize(self, max_workers: int) -> None:
        """Have up to `max_workers` processes from now on.

        More are started at once under the start method "fork", and otherwise as there are tasks for them. With fewer,
        idle workers end first, then others when they have ended the task that they run; what else they were sent goes
        to those that stay. `stats()` counts workers until they have ended.

        Raises ValueError if `max_workers` is not positive, BrokenProcessPool, RuntimeError after `shutdown()`, and what
        starting a process raises.
        """
        _check_workers(max_workers)
        with self._shutdown_lock:
            self._check("cannot resize the pool")
            self._max_workers = max_workers
            self._supervisor.resize(max_workers, at_once=self._forks)

    # -- The end ------------------------------------------------------------------------------------------------------

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; with `cancel_futures` cancel those that have not begun; with `wait`, return when all are
        done and the workers have ended."""
        with self._shutdown_lock:
            self._shutdown_thread = True
        if cancel_futures:
            for future in self._engine.clear():
                future.cancel()
        if self._crew is not None:
            self._crew.shutdown(wait=False, cancel_futures=cancel_futures)
        self._supervisor.close()
        if wait:
            self._supervisor.join()
            if self._crew is not None:
                self._crew.shutdown()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> bool | None:
        try:
            if kind is not None and issubclass(kind, KeyboardInterrupt):
                self._interrupt()
            self.shutdown()
        except KeyboardInterrupt:
            # A worker's may have been the first to come here, and this is the program's own.
            self._interrupt()
            raise
        return None

    def _interrupt(self) -> None:
        """After Ctrl-C nobody waits for what has not begun, nor for what began when its worker had had the signal."""
        with self._shutdown_lock:
            self._shutdown_thread = True
        self._supervisor.interrupt()
        self._supervisor.close()

    def terminate_workers(self) -> None:
        """End every worker by SIGTERM, and with them what they run; take no more tasks."""
        self._end(signal.SIGTERM)

    def kill_workers(self) -> None:
        """End every worker by SIGKILL, and with them what they run; take no more tasks."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        self.shutdown(wait=False, cancel_futures=True)
        self._supervisor.kill(number)
        if self._crew is not None:
            self._crew.supervisor.kill(number)

    def stats(self) -> dict[str, Any]:
        """How the pool stands: tasks that wait and that were sent, workers, how many there may be, idle ones; deaths,
        timeouts, and workers replaced for their tasks or their memory so far; the workers' process numbers."""
        queued, sent, workers, idle = self._engine.counts()
        counted = self._supervisor._counted
        return {
            "queued": queued,
            "sent": sent,
            "workers": workers,
            "max_workers": self._max_workers,
            "idle": idle,
            "died": counted["died"],
            "timed_out": counted["timed out"],
            "recycled": counted["recycled"],
            "pids": sorted(self._processes),
        }


class Installed(ProcessPoolExecutor):
    """The pool that stands under `concurrent.futures`: a task that runs is only cancelled where that was asked for."""

    _cancel_running = False


Installed.__name__ = "ProcessPoolExecutor"  # and not __qualname__: by that the class is pickled


class Options:
    """A pool whose tasks are treated in another way; made by `ProcessPoolExecutor.with_options()`."""

    __slots__ = ("_buffersize", "_pool", "_retries", "_timeout")

    def __init__(self, pool: ProcessPoolExecutor, timeout: float | None, retries: int, buffersize: int) -> None:
        self._pool = pool
        self._timeout = timeout
        self._retries = retries
        self._buffersize = buffersize

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As the pool's, with these options."""
        return self._pool._submit(fn, args, kwargs, self._timeout, self._retries)

    def stream(
        self, fn: Callable[P, Generator[T, Any, Any] | Iterable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Stream[T]:
        """As the pool's, with these options."""
        return self._pool._stream(fn, args, kwargs, self._timeout, self._retries, self._buffersize)

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """As the pool's, with these options for each task, which is one call by default."""
        return mapped(self._pool, lambda f, *args: self.submit(f, *args), fn, iterables, timeout, chunksize, buffersize)
