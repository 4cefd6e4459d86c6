"""The threads and processes that a loop runs blocking calls in."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable
    from concurrent.futures import Executor
    from typing import Any

__all__ = ["Executors"]


class Executors:
    """The part of an event loop that runs calls in an executor."""

    _default_executor: Any

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have `func(*args)` called by an executor, `None` for the loop's own thread pool; a future of what it returns.

        Raises RuntimeError if the loop is closed, or its own pool is wanted and has been shut down.
        """
        if executor is None and self._default_executor is None:
            from fenshen.futures import ThreadPoolExecutor

            self._check_closed()  # type: ignore[attr-defined]
            self._check_default_executor()  # type: ignore[attr-defined]
            self._default_executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
        future: Future[Any] = super().run_in_executor(executor, func, *args)  # type: ignore[misc]
        supervisor = getattr(executor, "_supervisor", None)
        if supervisor is not None and self.is_running():  # type: ignore[attr-defined]
            supervisor.adopt(self)
        return future
