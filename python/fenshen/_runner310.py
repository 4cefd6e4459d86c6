"""`asyncio.Runner` for Python 3.10, which has none: the contract that 3.11 documents."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Runner:
    """Creates a loop on first use, runs coroutines on it, one after the other in one context, and closes it."""

    def __init__(
        self, *, debug: bool | None = None, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    ) -> None:
        self._debug = debug
        self._loop_factory = loop_factory
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context: contextvars.Context | None = None
        self._closed = False
        self._set_event_loop = False
        self._interrupts = 0

    def __enter__(self: T) -> T:
        self.get_loop()  # type: ignore[attr-defined]
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of this runner. Raises RuntimeError once it is closed."""
        if self._closed:
            raise RuntimeError("Runner is closed")
        if self._loop is None:
            self._loop = self._new_loop()
            if self._debug is not None:
                self._loop.set_debug(self._debug)
            self._context = contextvars.copy_context()
        return self._loop

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop_factory is not None:
            return self._loop_factory()
        loop = asyncio.new_event_loop()
        if not self._set_event_loop:
            asyncio.set_event_loop(loop)
            self._set_event_loop = True
        return loop

    def run(self, coro: Coroutine[Any, Any, T], *, context: contextvars.Context | None = None) -> T:
        """Run a coroutine to its end; the first Ctrl-C cancels it, a second one interrupts at once."""
        if not asyncio.iscoroutine(coro):
            raise ValueError(f"a coroutine was expected, got {coro!r}")
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("Runner.run() cannot be called from a running event loop")
        loop = self.get_loop()
        task = self._task(loop, coro, context or self._context)
        handler = self._take_sigint(task)
        self._interrupts = 0
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            # No cancellation is counted on 3.10: one that follows an interrupt is that interrupt's.
            if self._interrupts and getattr(task, "uncancel", int)() == 0:
                raise KeyboardInterrupt from None
            raise
        finally:
            if handler is not None and signal.getsignal(signal.SIGINT) is handler:
                signal.signal(signal.SIGINT, signal.default_int_handler)

    @staticmethod
    def _task(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], context: contextvars.Context | None
    ) -> asyncio.Task[T]:
        create: Any = loop.create_task
        try:
            task: asyncio.Task[T] = create(coro, context=context)  # ours takes it on every Python
        except TypeError:
            task = context.run(create, coro) if context is not None else create(coro)
        return task

    def _take_sigint(self, task: asyncio.Task[Any]) -> Callable[..., None] | None:
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        ):
            return None
        handler = functools.partial(self._on_sigint, task)
        try:
            signal.signal(signal.SIGINT, handler)
        except ValueError:
            return None  # an embedded interpreter whose main thread takes no signals
        return handler

    def _on_sigint(self, task: asyncio.Task[Any], signum: int, frame: object) -> None:
        self._interrupts += 1
        if self._interrupts > 1 or task.done():
            raise KeyboardInterrupt
        task.cancel()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: None)  # it may be deep in a long wait

    def close(self) -> None:
        """Cancel what is left, shut down async generators and the default executor, and close the loop."""
        loop, self._closed = self._loop, self._closed or self._loop is not None
        if loop is None:
            return
        try:
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            if self._set_event_loop:
                asyncio.set_event_loop(None)
            loop.close()
            self._loop = None


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    for task in left:
        if not task.cancelled() and (error := task.exception()) is not None:
            message = "unhandled exception during asyncio.run() shutdown"
            loop.call_exception_handler({"message": message, "exception": error, "task": task})
