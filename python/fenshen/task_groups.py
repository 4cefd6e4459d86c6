"""`TaskGroup`: tasks, threads and processes that end together.

The order in which a group cancels and waits is that of Trio's nurseries (N. J. Smith, "Notes on structured concurrency,
or: Go statement considered harmful", 2018), with the rules of `asyncio.TaskGroup` for what is raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

from fenshen._cancelling import checkpoint as checkpoint
from fenshen._groups import late, shielding
from fenshen._groups.children import Children
from fenshen._groups.handles import CoroutineHandle, Handle
from fenshen._groups.plain import Plain
from fenshen._groups.shielding import shield as shield

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from concurrent.futures import Executor
    from contextvars import Context
    from types import TracebackType
    from typing import Any, Self, TypeVar

    T = TypeVar("T")

__all__ = ["Handle", "TaskGroup", "checkpoint", "shield"]


class TaskGroup(Children):
    """Children of all three kinds, none of which outlives the block: `async with TaskGroup() as g`, or plain `with`.

    `create_task(coro)`, `to_thread(fn, ...)` and `to_process(fn, ...)` start children. The block ends when all have
    ended. The first that fails has the others cancelled, and the block's body too: its next `await`, or in plain `with`
    its next `checkpoint()` or blocking call of fenshen's, raises. Then all errors are raised as one `ExceptionGroup`.

    In `async with` it takes the place of `asyncio.TaskGroup`. With plain `with` no event loop is needed, and one that
    runs in the thread does no harm: coroutines run on a loop in a thread of the group's, and every child has a handle.
    """

    _plain: Plain | None = None
    _timers: tuple[Any, ...] = ()

    def __init__(
        self,
        *,
        name: str | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        thread_pool: Executor | None = None,
        process_pool: Executor | None = None,
        signals: Iterable[int] = (),
        grace: float = 10.0,
    ) -> None:
        """A group that is yet to be entered.

        `timeout` in seconds from now, or `deadline` as `time.monotonic()` tells it, whichever is earlier: then what
        still runs is cancelled, and the block raises TimeoutError, or an ExceptionGroup that holds it if children have
        failed. `thread_pool` and `process_pool` are executors to use in place of the group's own threads and the
        processes of `fenshen.to_process`; they are not shut down. `name` is for messages.

        The first of `signals` that comes has `fenshen.shutdown_requested()` be true and `until_shutdown()` return, so
        that the body and the children may end in order; `grace` seconds later, or at the second signal, the group is
        cancelled. Only in the main thread.
        """
        if name is not None:
            self._name = name
        if timeout is not None or deadline is not None:
            self._end_in(timeout, deadline)
            self._watched = True
        if thread_pool is not None:
            self._thread_pool = thread_pool
        if process_pool is not None:
            self._process_pool = process_pool
        if signals:
            self._signals = tuple(signals)
            self._grace = grace
            self._watched = True

    # -- Children -----------------------------------------------------------------------------------------------------

    def _admit(self, coro: Any) -> None:
        """Raise if there can be no more children."""
        try:
            self._check()
        except BaseException:
            if sys.version_info >= (3, 13) or self._plain is not None:
                coro.close()
            raise

    def _create_elsewhere(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None, **options: Any
    ) -> CoroutineHandle[T]:
        """Have the loop of another thread run a coroutine."""
        if self._plain is not None:
            handle = self._plain.create_task(coro, name, context)
        else:
            handle = CoroutineHandle(name or getattr(coro, "__qualname__", None) or "coroutine")
            handle.start(self._loop, coro, context)
        self._adopt(handle)
        return handle

    def _shelter(self, coro: Any) -> Any:
        """The shield of a new child, which is not cancelled with the others; its error is ours if nobody awaits it."""
        outer: Any = None
        task = asyncio.ensure_future(coro, loop=self._loop)
        shielding.protect(task)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._on_shelter_done(task, outer))
        outer = asyncio.shield(task)
        return outer

    def _on_shelter_done(self, task: Any, outer: Any) -> None:
        if outer.cancelled():
            self._on_task_done(task)
        else:  # whoever awaits it has its error
            self._forget(task)

    def _watch(self, handle: Any) -> None:
        if self._plain is not None:
            handle.add_done_callback(self._plain.child_is_done)
            return
        handle._loop = self._loop
        handle.add_done_callback(self._post)

    def _post(self, handle: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed before the block was left
            self._loop.call_soon_threadsafe(self._on_task_done, handle)

    def _report(self, task: Any, error: BaseException) -> None:
        """A child has failed when its parent was done."""
        message = f"Task {task!r} has errored out but its parent task {self._parent_task} is already completed"
        self._loop.call_exception_handler({"message": message, "exception": error, "task": task})

    def _fail(self) -> None:
        """A child has failed, the first one."""
        self._stopped = True
        self._abort()
        self._interrupt()

    # -- Cancellation -------------------------------------------------------------------------------------------------

    def cancel(self, msg: str | None = None) -> None:
        """End the group: every child and the body are cancelled, and the block raises nothing for that.

        May be called from any thread, at any time, also before the block: then it ends as soon as it begins. `msg` is
        what the children's CancelledErrors say.
        """
        if self._plain is None and self._loop is not None and asyncio._get_running_loop() is not self._loop:
            with contextlib.suppress(RuntimeError):  # the loop is closed: there is nothing left to end
                self._loop.call_soon_threadsafe(self._stop, msg)
        else:
            self._stop(msg)

    def _stop(self, msg: Any = None) -> None:
        with self._lock:
            if self._stopped or self._finished:
                return
            self._stopped = True
        if self._entered:
            if self._plain is not None:  # first: the body must not find the group ending and not know why
                self._interrupt()
            self._abort(msg)
            self._interrupt()

    def _interrupt(self) -> None:
        """Have the body end too."""
        if self._plain is not None:
            self._plain.interrupt()
        elif not self._parent_cancel_requested and not self._parent_task.done():
            self._parent_cancel_requested = True
            self._parent_task.cancel()

    def _on_deadline(self) -> None:
        with self._lock:
            over = self._aborting or self._stopped or self._finished
            self._timed_out = not over
        if not over:
            self._stop()

    def _wait_for_late(self) -> None:
        if self._plain is not None:
            self._plain.wait_for_late()
        else:
            self._call_later(late.PATIENCE, self._tell_late)

    # -- async with ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """The block begins, of a group that has more than children."""
        if self._deadline is not None:
            self._call_later(max(0.0, self._deadline - time.monotonic()), self._on_deadline)
        try:
            self._heed_signals(self._loop)
        except BaseException:
            self._close()
            raise
        if self._stopped:  # it was cancelled before
            self._abort()
            self._interrupt()

    def _call_later(self, delay: float, callback: Callable[[], object]) -> None:
        self._timers = (*self._timers, self._loop.call_later(delay, callback))
        self._held = True

    async def _settle(self, exc: BaseException | None, cancelled: BaseException | None) -> bool:
        """The block ends, and something has failed or was cancelled: the body by `exc`, or from outside."""
        self._close()
        parent = self._parent_task
        if self._base_error is None and self._parent_cancel_requested and _uncancel(parent) == 0:
            cancelled = None
            if getattr(parent, "_must_cancel", False):  # the request has not come to anything yet
                await _absorb()
        if exc is not None and not isinstance(exc, asyncio.CancelledError):
            self._errors.append(exc)
        try:
            error = self._verdict(cancelled)
            if error is not None and error is not exc:
                if self._errors and self._base_error is None and _cancelling(parent):
                    # It was cancelled from outside too: an error that goes first must not have that be forgotten.
                    _uncancel(parent)
                    parent.cancel()
                raise error from (exc if isinstance(error, TimeoutError) else None)
            return error is None  # what ended the body only because the group was to end stays here
        finally:
            # What an error's traceback leads to must not lead back to it.
            self._errors, self._base_error, self._parent_task = [], None, None
            exc = error = cancelled = parent = None

    def _close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = ()
        self._leave()
        if self._registration is not None:
            self._registration.close()
        if self._own_pool is not None:
            self._own_pool.shutdown(wait=False)

    # -- with ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._entered:
            raise RuntimeError(f"TaskGroup {self!r} has already been entered")
        self._plain = Plain(self)
        self._entered = True
        self._plain.enter()
        if self._stopped:  # it was cancelled before
            self._abort()
            self._interrupt()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool:
        assert self._plain is not None
        self._exiting = True
        error = self._plain.leave(exc)
        try:
            if error is not None and error is not exc:
                raise error from (exc if isinstance(error, TimeoutError) else None)
            return error is None  # what ended the body only because the group was to end stays here
        finally:
            self._errors, self._base_error = [], None
            exc = error = None


# Tasks of Python 3.10 don't count who has cancelled them.


def _uncancel(task: Any) -> int:
    return int(task.uncancel()) if hasattr(task, "uncancel") else 0


def _cancelling(task: Any) -> int:
    return int(task.cancelling()) if hasattr(task, "cancelling") else 0


async def _absorb() -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
