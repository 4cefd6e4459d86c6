"""`Stream`: what `ProcessPoolExecutor.stream()` returns."""

from __future__ import annotations

import contextlib
from typing import Any, TypeVar

from fenshen._processes import StreamBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from types import TracebackType

    from typing_extensions import Self

    from fenshen._process_executor import ProcessPoolExecutor

__all__ = ["Stream"]

T_co = TypeVar("T_co", covariant=True)

_NOTHING: Any = object()


class Stream(StreamBase[T_co]):  # type: ignore[type-arg, unused-ignore]
    """The items that a generator yields in a worker of a pool, in order: to iterate over with `for` or `async for`.

    What the generator raises is raised after the items before it, with the traceback that it had there. What it returns
    is `value`, and that of the StopIteration, so `yield from` gives it. If the worker dies, WorkerDied is raised after
    the items that have arrived; if the pool is shut down, CancelledError.

    `close()`, `aclose()`, the end of a `with` or `async with` and the loss of the last reference close the generator:
    it gets GeneratorExit at the `yield` where it is, or else at the next one.
    """

    __slots__ = ("__weakref__", "_pool")

    _pool: ProcessPoolExecutor  # which lives while its stream does

    def close(self) -> None:
        """Close the generator, and wait until it is.

        Raises what it raises of that; what it had raised before, and nobody asked for, is forgotten.
        """
        self._stop()
        self._join()

    async def aclose(self) -> None:
        """The same, awaited."""
        self._stop()
        while not self._ended:
            await self._news()
        self._join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        while (item := self._poll(_NOTHING)) is _NOTHING:
            await self._news()
        return item  # type: ignore[no-any-return]

    async def _news(self) -> None:
        """Wait until there is something to take, or the end."""
        from asyncio import get_running_loop

        from fenshen.executors import Executors

        loop = get_running_loop()
        if isinstance(loop, Executors):
            self._pool._supervisor.adopt(loop)
        waiter = loop.create_future()

        def wake() -> None:
            _wake(loop, waiter)

        if self._watch(wake):
            try:
                await waiter
            finally:
                self._unwatch(wake)


def _wake(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
    """Have a waiter go on, from whatever thread this is."""
    from asyncio import _get_running_loop

    if _get_running_loop() is loop:
        _set(waiter)
    else:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(_set, waiter)


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
