"""A group that is entered with plain `with`: its parent is a thread, its coroutines run on a loop in another one."""

from __future__ import annotations

import time

from fenshen._cancelling import Cancellation
from fenshen._groups import late
from fenshen._groups.children import is_cancelled_error
from fenshen._groups.handles import CoroutineHandle
from fenshen._groups.loop_thread import LoopThread, insist
from fenshen.threading import Semaphore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fenshen.task_groups import TaskGroup

__all__ = ["Plain"]


class _Children(Semaphore):
    """What the parent waits for; reports name it. An `Event` in the main thread would mean "until Ctrl-C" to them."""

    def __init__(self, group: TaskGroup) -> None:
        super().__init__(0)
        self._of = group

    def __repr__(self) -> str:
        return f"<the children of {self._of!r}>"


class Plain:
    """The part of a group that knows its parent, a thread."""

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._changed = _Children(group)
        self._thread: LoopThread | None = None
        self._late_at: float | None = None
        #: Of the body: its next wait is to raise when the group is to end.
        self._body = Cancellation()

    def enter(self) -> None:
        """Called by the parent."""
        try:
            self._watch()
        except BaseException:
            if self._thread is not None:
                self._thread.close()
            raise
        self._body.__enter__()

    def _watch(self) -> None:
        """Have the group's loop look at the deadline and hear of signals."""
        deadline = self._group._deadline
        if deadline is not None:
            loop = self._own_loop()
            wait = max(0.0, deadline - time.monotonic())
            loop.call_soon_threadsafe(loop.call_later, wait, self._group._on_deadline)
        if self._group._signals:
            self._group._heed_signals(self._own_loop())

    def create_task(self, coro: Any, name: str | None, context: Any) -> CoroutineHandle[Any]:
        """Have the group's loop run a coroutine."""
        handle: CoroutineHandle[Any] = CoroutineHandle(name or _name(coro))
        handle.start(self._own_loop(), coro, context)
        return handle

    def _own_loop(self) -> Any:
        with self._group._lock:
            if self._thread is None:
                self._thread = LoopThread(f"{self._group._name or 'TaskGroup'}-loop")
            return self._thread.loop

    def interrupt(self) -> None:
        """The group is to end: so is its body."""
        self._body.cancel()

    def wait_for_late(self) -> None:
        """Tell which children live when that has taken too long."""
        self._late_at = time.monotonic() + late.PATIENCE
        self._changed.release()

    def child_is_done(self, handle: Any) -> None:
        """Called in whatever thread."""
        group = self._group
        error = None if handle.cancelled() else handle._future.exception()
        stop = False
        with group._lock:
            if error is not None:
                group._note(error)
                stop = not group._aborting
        if stop:
            group._stop()
        with group._lock:
            group._tasks.discard(handle)
            if not group._tasks:
                self._changed.release()

    # -- The end ------------------------------------------------------------------------------------------------------

    def leave(self, exc: BaseException | None) -> BaseException | None:
        """Wait for the children; what the block is to raise."""
        group = self._group
        self._body.__exit__(None, None, None)
        cancelled = exc if is_cancelled_error(exc) and not self._is_ours(exc) else None
        interruptions: list[BaseException] = []  # Ctrl-C, this thread's own cancellation, a deadlock
        if exc is not None and not group._aborting:
            self._abort(interruptions)
        while not self._is_over():
            try:
                self._wait()
            except BaseException as e:
                interruptions.append(e)
                self._abort(interruptions)
        self._close(interruptions)
        for interruption in interruptions:
            if is_cancelled_error(interruption):
                cancelled = interruption
            else:
                group._note(interruption)
        if exc is not None and not is_cancelled_error(exc):
            group._note(exc)
        return group._verdict(cancelled)

    def _is_ours(self, exc: BaseException | None) -> bool:
        """Whether a CancelledError of the body is only because the group itself was to end."""
        origin = getattr(exc, "_cancellation", None)
        return origin == self._body.origin or (origin is None and self._group._stopped)

    def _is_over(self) -> bool:
        while self._changed.acquire(blocking=False):
            pass
        return self._group._finish()

    def _wait(self) -> None:
        if self._late_at is None:
            self._changed.acquire()
            return
        left = self._late_at - time.monotonic()
        if left > 0:
            self._changed.acquire(timeout=left)
            return
        self._late_at = None
        self._group._tell_late()

    def _abort(self, interruptions: list[BaseException]) -> None:
        try:
            self._group._abort()
        except BaseException as e:
            interruptions.append(e)

    def _close(self, interruptions: list[BaseException]) -> None:
        if self._group._registration is not None:
            self._group._registration.close()
        if self._group._own_pool is not None:
            interruptions += insist(self._group._own_pool.shutdown)
        if self._thread is not None:
            interruptions += self._thread.close()


def _name(coro: Any) -> str:
    return str(getattr(coro, "__qualname__", None) or type(coro).__qualname__)
