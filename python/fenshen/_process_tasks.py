"""Coroutine functions in worker processes: crews of workers, each with a loop on which many coroutines run at once.

`submit()` is what groups and flows use. What happens for each coroutine is native; here is what happens for each crew,
and for those calls that carry more than their arguments.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from concurrent.futures import process

from fenshen import _carried, _loop_worker, _starting, _task_errors
from fenshen._supervisor import Supervisor
from fenshen._threads import Future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from fenshen._process_executor import ProcessPoolExecutor

__all__ = ["LIMIT", "Crew", "awaited", "crew_of", "submit"]

#: How many coroutines a worker runs at once; more wait in the program until one has ended.
LIMIT = 4096

_lock = threading.Lock()
_own: dict[int, Crew] = {}


class Crew:
    """Worker processes with a loop each, which outlive none of those that use them: the workers of coroutines."""

    def __init__(
        self,
        context: Any,
        workers: int,
        initializer: Callable[..., object] | None = None,
        initargs: Sequence[object] = (),
        *,
        logs: bool = False,
        limit: int = LIMIT,
        at_once: bool = True,
        name: str | None = None,
        entry: Callable[..., None] = _loop_worker.main,
    ) -> None:
        """Up to `workers` processes, started by `context` at the first coroutine: all of them `at_once`, or as they are
        needed. Each runs up to `limit` coroutines at once."""
        self._at_once = at_once
        self._lock = threading.RLock()
        self._closed = False
        self.workers = workers
        self.supervisor = Supervisor(
            context,
            workers,
            initializer,
            initargs,
            logs=logs,
            name=name,
            errors=_task_errors.OF_EXECUTORS,
            entry=entry,
            many=limit,
        )
        self._close = weakref.finalize(self, Supervisor.close, self.supervisor)
        self._close.atexit = False

    def submit(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float | None = None
    ) -> Future[Any]:
        """See `submit`."""
        variables = _carried.pick()
        if variables or timeout is not None:
            args, kwargs = (function, args, kwargs, variables, timeout), {}
            function = _carried.run
        future: Future[Any] = Future()
        supervisor = self.supervisor
        with self._lock:
            self._check()
            aside = supervisor.thread is None and self._starts_aside()
            if aside:
                supervisor.own_engine()
            elif supervisor.thread is None:
                self._start()
            elif len(supervisor.processes) < self.workers or supervisor.short:
                supervisor.adjust()
            supervisor.leave_loop()
            supervisor.engine.submit(future, function, args, kwargs)
            if aside:
                _starting.begin(supervisor, self._start)
            if supervisor.over:
                supervisor.sweep()
        return future

    def _starts_aside(self) -> bool:
        """Whether a thread is to start the first workers, as this one's loop would stand meanwhile."""
        return (
            asyncio._get_running_loop() is not None
            and self.supervisor.context.get_start_method(allow_none=False) != "fork"
        )

    def _start(self) -> None:
        """Start the first workers, unless that was done. It locks nothing that `submit()` would wait for on a loop."""
        if self.supervisor.thread is None:
            self.supervisor.start(self.workers if self._at_once else 1)

    def submit_each(
        self, calls: Sequence[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]
    ) -> list[Future[Any]]:
        """As many calls as there are workers, of which none has been started yet: one for each of them."""
        futures: list[Future[Any]] = [Future() for _ in calls]
        with self._lock:
            self._check()
            engine = self.supervisor.own_engine()
            for future, call in zip(futures, calls, strict=True):
                engine.submit(future, *call)
            self.supervisor.start(self.workers)
        return futures

    def _check(self) -> None:
        if self.supervisor.broken is not None:
            raise process.BrokenProcessPool(self.supervisor.broken)
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if process._global_shutdown:  # type: ignore[attr-defined]
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; with `cancel_futures` cancel what no worker was sent yet; with `wait`, return when all
        coroutines are done and the workers have ended."""
        with self._lock:
            self._closed = True
        if cancel_futures:
            for future in self.supervisor.engine.clear():
                future.cancel()
        self.supervisor.close()
        if wait:
            self.supervisor.join()


def own_crew() -> Crew:
    """This process's own, made at the first coroutine: its workers come from a fork server, one for each CPU."""
    found = _own.get(os.getpid())
    if found is None:
        from multiprocessing import get_context

        from fenshen._process_executor import usable_cpus

        with _lock:
            found = _own.get(os.getpid())
            if found is None:
                found = Crew(get_context("forkserver"), usable_cpus())
                _own.clear()  # a parent's are of no use here
                _own[os.getpid()] = found
    return found


def crew_of(pool: ProcessPoolExecutor | None) -> Crew:
    """The crew beside a pool, made as that was; without a pool, this process's own."""
    if pool is None:
        return own_crew()
    with pool._shutdown_lock:
        pool._check()
        crew: Crew | None = pool._crew
        if crew is None:
            logs = pool._supervisor._arguments[2]
            crew = pool._crew = Crew(pool._mp_context, pool._max_workers, pool._initializer, pool._initargs, logs=logs)
            pool._supervisor.beside = crew.supervisor
    return crew


def submit(
    pool: ProcessPoolExecutor | None,
    function: Callable[..., Coroutine[Any, Any, Any]],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    timeout: float | None = None,
) -> Future[Any]:
    """Have `function(*args, **kwargs)` run on the loop of a worker process; a future of its outcome.

    The worker that runs fewest gets it, of those beside `pool` or, with None, of the program's own. `cancel()` of the
    future cancels the coroutine: the future is done when that has ended, and is cancelled unless the coroutine returned
    or raised something else. It fails with TimeoutError if the coroutine has not ended `timeout` seconds after its
    beginning, with WorkerDied if the process dies, and with what pickling raises. Context variables of the caller whose
    values can be pickled, and which a module holds, have these values there.

    Raises BrokenProcessPool if no worker can be started, RuntimeError after the pool's `shutdown()`.
    """
    return crew_of(pool).submit(function, args, kwargs or {}, timeout)


class _Awaited(asyncio.Future):  # type: ignore[type-arg, unused-ignore]
    """What a task awaits for a coroutine elsewhere: cancelling it asks that one to end; it ends as that one does."""

    def __init__(self, source: Future[Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._source = source
        self._words: Any = None

    def cancel(self, msg: Any = None) -> bool:
        """Ask the coroutine to end; False if it has."""
        if self.done():
            return False
        self._words = msg
        self._source.cancel()
        return True

    def take(self) -> None:
        """The coroutine has ended."""
        if self.done():
            return
        if self._source.cancelled():
            super().cancel(self._words)
            return
        exc = self._source.exception()
        if exc is None:
            self.set_result(self._source.result())
        else:
            self.set_exception(exc)

    def told(self, _: Future[Any]) -> None:
        """The same, on whatever thread that is known first."""
        loop = self.get_loop()
        if asyncio._get_running_loop() is loop:
            self.take()
            return
        try:
            loop.call_soon_threadsafe(self.take)
        except RuntimeError:  # the loop is closed, and nobody waits any more
            if not loop.is_closed():
                raise


def awaited(source: Future[Any], crew: Crew | None = None) -> asyncio.Future[Any]:
    """An awaitable of what `submit()` returned, for the running loop.

    It ends when the coroutine has, even if it is cancelled. A loop of ours then takes the results of the crew itself.
    """
    loop = asyncio.get_running_loop()
    target = _Awaited(source, loop)
    source.add_done_callback(target.told)
    if crew is not None and crew.supervisor._loop is not loop:
        from fenshen.executors import Executors

        if isinstance(loop, Executors):
            crew.supervisor.adopt(loop)
    return target
