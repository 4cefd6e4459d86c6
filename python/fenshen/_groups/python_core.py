"""The core of a group where there is no native engine: what `crates/fenshen-py/src/group` does, in Python."""

from __future__ import annotations

import asyncio
import weakref
from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

__all__ = ["GroupCore", "entered_groups"]

#: The groups that are entered with `async with`, in that order.
_entered: dict[int, weakref.ref[GroupCore]] = {}


def entered_groups() -> list[GroupCore]:
    """The groups that are entered with `async with`, the last one first."""
    found = [reference() for reference in list(_entered.values())[::-1]]
    return [group for group in found if group is not None]


class GroupCore:
    """What a task group does for each child, and where its block begins and ends."""

    _entered = _exiting = _aborting = _finished = False
    #: The group itself has decided to end: a child has failed, the deadline has passed, or `cancel()` was called.
    _stopped = False
    _timed_out = False
    _parent_cancel_requested = False
    #: `_begin()` is to be called when it is entered, for its deadline or its signals.
    _watched = False
    #: `_close()` is to be called when it is left, for its timers, signals or threads.
    _held = False
    _loop: Any = None
    _parent_task: Any = None
    _waiter: Any = None
    _base_error: BaseException | None = None
    _lock: Any
    _tasks: set[Any]
    _errors: list[BaseException]

    # What the class that derives from this one does.
    _admit: Callable[[Any], None]
    _create_elsewhere: Callable[..., Any]
    _report: Callable[[Any, BaseException], None]
    _fail: Callable[[], None]
    _abort: Callable[[], None]
    _begin: Callable[[], None]
    _settle: Callable[[BaseException | None, BaseException | None], Awaitable[bool]]

    def __new__(cls, *_: Any, **__: Any) -> Self:
        self = super().__new__(cls)
        # The interpreter's own: a wait for one of ours could raise amid what must be done.
        self._lock = allocate_lock()
        self._tasks = set()
        self._errors = []
        return self

    # -- Children -----------------------------------------------------------------------------------------------------

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None, **options: Any) -> Any:
        """Run a coroutine; returns its task, or its handle where it runs on the loop of another thread."""
        if self._exiting or self._aborting or not self._entered:
            self._admit(coro)
        if name is not None:
            options["name"] = name
        if context is not None:
            options["context"] = context
        running: Any = asyncio._get_running_loop()
        if self._loop is None or running is not self._loop:
            return self._create_elsewhere(coro, **options)
        task = self._loop.create_task(coro, **options)
        if task.done():  # it was run eagerly
            self._on_task_done(task)
        else:
            self._tasks.add(task)
            task.add_done_callback(self._on_task_done)
        return task

    def _add(self, child: Any) -> bool:
        with self._lock:
            if not self._finished:
                self._tasks.add(child)
            return not self._finished

    def _forget(self, child: Any) -> None:
        self._tasks.discard(child)
        waiter = self._waiter
        if waiter is not None and not self._tasks and not waiter.done():
            waiter.set_result(True)

    def _on_task_done(self, child: Any) -> None:
        self._forget(child)
        error = None if child.cancelled() else child.exception()
        if error is None:
            return
        self._note(error)
        if self._parent_task is None or self._parent_task.done():
            self._report(child, error)
        elif not self._aborting and not self._parent_cancel_requested:
            self._fail()

    def _cancel_tasks(self, shielded: Any, msg: Any) -> tuple[list[Any], BaseException | None]:
        """Cancel the native tasks, of which there are none."""
        return list(self._tasks), None

    def _note(self, error: BaseException) -> None:
        self._errors.append(error)
        self._note_base(error)

    def _note_base(self, error: BaseException) -> None:
        """Keep the first error that goes on as itself, and not in a group."""
        if self._base_error is None and isinstance(error, (SystemExit, KeyboardInterrupt)):
            self._base_error = error

    # -- The block ----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError(f"TaskGroup {self!r} has already been entered")
        self._loop = asyncio.get_running_loop()
        self._parent_task = asyncio.current_task(self._loop)
        if self._parent_task is None:
            raise RuntimeError(f"TaskGroup {self!r} cannot determine the parent task")
        self._entered = True
        number = id(self)
        _entered[number] = weakref.ref(self, lambda _: _entered.pop(number, None))
        if self._watched or self._stopped:
            self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._exiting = True
        cancelled = exc if isinstance(exc, asyncio.CancelledError) else None
        if exc is not None:
            self._note_base(exc)
            if not self._aborting:
                self._abort()
        while not self._finish():
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            except asyncio.CancelledError as e:
                if not self._aborting:
                    cancelled = e
                    self._abort()
            self._waiter = None
        try:
            return await self._settle(exc, cancelled)
        finally:
            exc = cancelled = None

    def _finish(self) -> bool:
        with self._lock:
            self._finished = not self._tasks
            return self._finished

    def _leave(self) -> None:
        _entered.pop(id(self), None)
