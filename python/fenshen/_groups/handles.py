"""The children of a group that are no tasks of its loop: calls in threads and processes, and coroutines on the loop of
another thread. A handle of each can be awaited on any loop, and waited for in any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from concurrent.futures import CancelledError
from contextvars import copy_context
from typing import Generic, TypeVar

from fenshen._cancelling import Cancellation
from fenshen.futures import Future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context
    from typing import Any

T = TypeVar("T")

__all__ = ["CoroutineHandle", "Handle", "ProcessHandle", "ThreadHandle"]


class Handle(Generic[T]):
    """A child of a `TaskGroup`: `await` it on any loop, or ask for its `result()` in any thread.

    It has the methods of a `concurrent.futures.Future` that do not set anything.
    """

    kind = "child"

    def __init__(self, name: str) -> None:
        self.name = name
        #: It is not cancelled with its group.
        self.shielded = False
        self._future: Any = None
        #: The loop that must not be held up by a `result()`.
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        if not self.done():
            state = "pending"
        elif self.cancelled():
            state = "cancelled"
        else:
            state = "finished" if self.exception() is None else f"failed with {type(self.exception()).__name__}"
        return f"<{type(self).__name__} {self.name!r} {state}>"

    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return bool(self._future.done())

    def cancelled(self) -> bool:
        """Whether it was cancelled before it had a result."""
        return bool(self._future.cancelled())

    def result(self, timeout: float | None = None) -> T:
        """What the child returned, once it has ended; `timeout` is in seconds, None for ever.

        Raises what the child raised; CancelledError (of `concurrent.futures`) if it was cancelled; TimeoutError;
        RuntimeError on the thread of a loop that this would hold up: `await` the handle there.
        """
        self._check("result")
        value: T = self._future.result(timeout)
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the child raised, None if it returned; otherwise as `result()`."""
        self._check("exception")
        error: BaseException | None = self._future.exception(timeout)
        if self.cancelled():
            raise CancelledError
        return error

    def _check(self, method: str) -> None:
        if self._loop is not None and not self.done() and asyncio._get_running_loop() is self._loop:
            raise RuntimeError(f"{method}() of a child that is not done would block the event loop: await the handle")

    def add_done_callback(self, fn: Callable[[Handle[T]], object]) -> None:
        """Call `fn(handle)` when the child has ended, in the thread where that happens, or now if it has."""
        self._future.add_done_callback(lambda _: fn(self))

    def cancel(self, msg: str | None = None) -> bool:
        """Have the child end; False if it has ended already. A shielded child too: that is about its group."""
        raise NotImplementedError

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done():
            loop = asyncio.get_running_loop()
            waiter = loop.create_future()
            self._future.add_done_callback(lambda _: _tell(loop, waiter))
            try:
                yield from waiter
            except asyncio.CancelledError:
                if not self.shielded:
                    self.cancel()
                raise
        if self.cancelled():
            raise asyncio.CancelledError
        value: T = self._future.result(0)
        return value


def _tell(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
        loop.call_soon_threadsafe(_settle, waiter)


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def name_of(fn: Callable[..., Any]) -> str:
    """What a call of that function is called."""
    while hasattr(fn, "func"):  # functools.partial
        fn = fn.func
    return str(getattr(fn, "__qualname__", None) or type(fn).__qualname__)


class ThreadHandle(Handle[T]):
    """A call in a thread. Once it is cancelled, its `checkpoint()` or wait raises CancelledError, once."""

    kind = "thread"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        #: The thread that runs it, as `threading.get_ident()` says.
        self.ident: int | None = None
        self._cancellation = Cancellation()

    def submit(self, pool: Any, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Have a thread of the pool make the call, in a copy of the present context."""
        self._future = pool.submit(self._run, copy_context(), fn, args, kwargs)

    def _run(self, context: Context, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        self.ident = threading.get_ident()
        try:
            with self._cancellation:
                return context.run(fn, *args, **kwargs)
        finally:
            self.ident = None
            del context, fn, args, kwargs  # an error's traceback knows this frame

    def cancel(self, msg: str | None = None) -> bool:
        if self.done():
            return False
        self._cancellation.cancel(None if msg is None else str(msg))
        self._future.cancel()  # if it has not begun
        return True

    def cancelled(self) -> bool:
        future = self._future
        if not future.done() or future.cancelled():
            return bool(future.cancelled())
        # Its own cancellation must have been asked for: any other such error is one.
        error = future.exception()
        asked = self._cancellation.cancelled
        return asked and isinstance(error, (CancelledError, asyncio.CancelledError))


class ProcessHandle(Handle[T]):
    """A call in another process, which is ended when the call is cancelled while it runs."""

    kind = "process"

    def adopt(self, future: Any) -> None:
        """Stand for a call that was submitted."""
        self._future = future

    def cancel(self, msg: str | None = None) -> bool:
        return bool(not self.done() and self._future.cancel())


class CoroutineHandle(Handle[T]):
    """A coroutine that runs on the loop of another thread."""

    kind = "task"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._future: Any = Future()
        self.task: asyncio.Task[T] | None = None
        self._asked: tuple[Any, ...] | None = None

    def start(self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], context: Context | None) -> None:
        """Have the loop run it, in that context or a copy of the present one. TypeError if it is no coroutine."""
        if not asyncio.iscoroutine(coro):
            raise TypeError(f"a coroutine was expected, got {coro!r}")
        self._loop = loop
        context = copy_context() if context is None else context
        if sys.version_info >= (3, 11):
            loop.call_soon_threadsafe(self._begin, loop, coro, {"name": self.name, "context": context})
        else:  # a task copies the context that it is made in
            loop.call_soon_threadsafe(self._begin, loop, coro, {"name": self.name}, context=context)

    def _begin(self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], options: dict[str, Any]) -> None:
        try:
            self.task = task = loop.create_task(coro, **options)
        except BaseException as e:  # a task factory's
            self._future.set_exception(e)
            coro.close()
            return
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._future.cancel()
            self._future.set_running_or_notify_cancel()
        elif (error := task.exception()) is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(task.result())

    def cancel(self, msg: str | None = None) -> bool:
        if self.done():
            return False
        self._asked = () if msg is None else (msg,)
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:
            return False  # the loop is closed, and so the task has ended
        return True

    def _cancel(self) -> None:
        if self.task is not None and self._asked is not None:
            self.task.cancel(*self._asked)
