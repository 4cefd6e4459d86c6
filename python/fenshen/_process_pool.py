"""`multiprocessing.Pool` on supervised workers.

A pool of the standard library's has one pipe to all of its workers: a worker that dies while it reads there, or amid a
task, takes that task along, and whoever waits for its result waits for ever. Here each worker has a ring of its own and
a lease on its task, as `fenshen_pool` says: the result of a task whose worker died raises `WorkerDied`, and no other.
"""

from __future__ import annotations

import multiprocessing.pool as _standard
import os
import signal
import sys
import threading
from concurrent.futures import CancelledError
from multiprocessing import get_context, util

from fenshen import _pool_worker
from fenshen._kind import Kind
from fenshen._pool_tasks import Tasks, cancelled
from fenshen._supervisor import Supervisor
from fenshen._task_errors import TaskErrors
from fenshen.worker_died import WorkerDied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["Pool"]

#: How many items of `imap()` are with the workers, or on their way, at a time.
_AHEAD = 1000
#: How long workers that were told to end by SIGTERM may take for it, in seconds.
_GRACE = 5.0


class _Sink:
    """Where the outcome of one task goes."""

    __slots__ = ("index", "job", "room", "tasks")

    def __init__(self, tasks: _Tasks, job: int, index: int, room: threading.Semaphore | None) -> None:
        self.tasks = tasks
        self.job = job
        self.index = index
        self.room = room

    def __call__(self, success: bool, value: Any) -> None:
        """The task was done."""
        if self.room is not None:
            self.room.release()
        if isinstance(value, _standard.MaybeEncodingError):
            value.__cause__ = None  # where in the worker it was found out is of no use
        if not success and self.tasks.is_over and isinstance(value, (WorkerDied, CancelledError)):
            self.tasks.discard(self.job, self.index, cancelled())
        else:
            self.tasks.deliver(self.job, self.index, (success, value))

    def discard(self, why: BaseException) -> None:
        """The task will not be done."""
        if self.room is not None:
            self.room.release()
        self.tasks.discard(self.job, self.index, why)


class _Tasks(Tasks):
    """The tasks of a pool of processes, in its engine."""

    def __init__(self, supervisor: Supervisor, cache: dict[int, Any]) -> None:
        super().__init__(cache)
        self._supervisor = supervisor
        self._engine = supervisor.engine
        self._room = threading.Semaphore(_AHEAD)

    @property
    def is_over(self) -> bool:
        """Whether the pool was terminated."""
        return self._over

    @property
    def broken(self) -> BaseException | None:  # type: ignore[override]
        """Why no task will be made any more, if something went wrong."""
        why = self._supervisor.broken
        return None if why is None else RuntimeError(why)

    def qsize(self) -> int:
        """How many tasks wait for a worker."""
        return self._engine.counts()[0]

    def _send(self, parts: Any, room: threading.Semaphore | None = None) -> None:
        job, index, function, args, kwargs = parts
        sink = _Sink(self, job, index, room)
        if function is _standard._helper_reraises_exception:  # type: ignore[attr-defined]
            sink(False, *args)
        else:
            self._engine.submit(sink, function, tuple(args), dict(kwargs))
            if self._supervisor.over:
                self._supervisor.sweep()

    def _send_item(self, parts: Any) -> None:
        while not self._room.acquire(timeout=0.2):
            if self._over:
                self.discard(*parts[:2], cancelled())
                return
        try:
            self._send(parts, self._room)
        except BaseException:
            self._room.release()
            raise

    def _throw_away(self) -> None:
        for sink in self._engine.clear():
            sink.discard(cancelled())

    def _end_workers(self) -> None:
        self._supervisor.close()


class _PoolContext:
    """The pool's context, whose processes are the pool's."""

    def __init__(self, context: Any, process: Callable[..., Any]) -> None:
        self._context = context
        self._process = process

    def get_start_method(self) -> str:
        """The start method of the context."""
        return self._context.get_start_method()

    def Process(self, *, name: str | None = None, daemon: bool | None = None, **what: Any) -> Any:
        """A process of the context's own class, as a worker is called."""
        worker = self._process(self._context, **what)
        worker.name = name or worker.name.replace("Process", "PoolWorker")
        worker.daemon = True
        return worker


def _terminate(tasks: _Tasks, supervisor: Supervisor) -> None:
    tasks.end(at_once=True)
    for number in (signal.SIGTERM, signal.SIGKILL):
        supervisor.kill(number)
        supervisor.join(_GRACE)
        if supervisor.thread is None or not supervisor.thread.is_alive():
            break


_standard_pool = _standard.Pool  # the name will be ours


class Pool(_standard_pool, metaclass=Kind):
    """A pool of processes, as `multiprocessing.pool.Pool`, that outlives its workers."""

    __standard__ = _standard_pool

    def __init_subclass__(cls, **keywords: Any) -> None:
        """A class that brings queues of its own stands on the standard one, whose workers read them."""
        super().__init_subclass__(**keywords)
        if "_setup_queues" in vars(cls):
            cls.__bases__ = tuple(_standard_pool if base is Pool else base for base in cls.__bases__)

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., Any] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        """A pool of `processes` worker processes, by default as many as there are CPUs, each of which calls
        `initializer(*initargs)` first and is replaced after `maxtasksperchild` tasks. `context` says how they start.

        Raises ValueError if a number is less than one, TypeError if `initializer` can't be called, and what starting a
        process raises.
        """
        self._pool: list[Any] = []
        self._state = _standard.INIT
        self._change_notifier = None
        self._ctx = context or get_context()
        if processes is None:
            processes = (os.process_cpu_count() if sys.version_info >= (3, 13) else os.cpu_count()) or 1
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
            raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._processes = processes
        self._initializer = initializer
        self._initargs = initargs
        self._maxtasksperchild = maxtasksperchild
        self._cache: dict[int, Any] = {}
        supervisor = self._supervise()
        self._taskqueue = _Tasks(supervisor, self._cache)
        try:
            supervisor.start(processes)
        except BaseException:
            self._taskqueue.end(at_once=True)
            for process in self._pool:
                process.terminate()
            for process in self._pool:
                process.join()
            raise
        self._terminate = util.Finalize(self, _terminate, args=(self._taskqueue, supervisor), exitpriority=15)
        self._state = _standard.RUN

    def _supervise(self) -> Supervisor:
        self._supervisor = supervisor = Supervisor(
            _PoolContext(self._ctx, self.Process),
            self._processes,
            self._initializer,
            tuple(self._initargs),
            most=self._maxtasksperchild,
            errors=TaskErrors(closed=cancelled, died=WorkerDied, remote=_standard.RemoteTraceback),  # type: ignore[attr-defined]
            entry=_pool_worker.main,
            finishes=False,
        )
        supervisor.on_start = self._pool.append
        supervisor.on_end = self._pool.remove
        return supervisor

    def _repopulate_pool(self) -> None:
        """Nothing: a worker is replaced when it ends."""

    def close(self) -> None:
        """Take no more tasks; the workers end when they have done those that wait."""
        if self._state == _standard.RUN:
            self._state = _standard.CLOSE
            self._taskqueue.end(at_once=False)

    def terminate(self) -> None:
        """Take no more tasks, end the workers, and drop what they do and what waits: whoever waits for a result gets a
        CancelledError.
        """
        self._state = _standard.TERMINATE
        self._terminate()

    def join(self) -> None:
        """Wait until the workers have ended. Raises ValueError before `close()` or `terminate()`."""
        if self._state == _standard.RUN:
            raise ValueError("Pool is still running")
        if self._state not in (_standard.CLOSE, _standard.TERMINATE):
            raise ValueError("In unknown state")
        self._supervisor.join()
        for helper in self._taskqueue.helpers:
            helper.join()
