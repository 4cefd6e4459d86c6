"""`Limiter`: so many at once, threads and tasks alike."""

from __future__ import annotations

from collections.abc import Hashable
from types import TracebackType

from fenshen.flow._keyed import Keyed
from fenshen.flow._turns import Turns, refuse_on_loop

__all__ = ["Limiter"]


class Limiter:
    """Lets at most `max_concurrent` threads and tasks in at once: `with limiter:`, `async with limiter:`.

    They wait in one line, first come, first served. A task that is cancelled while it waits leaves the line; nobody
    loses a place. `limiter.key("host")` is a limiter of the same size for that key alone.
    """

    def __init__(self, max_concurrent: int, *, per_key: bool = False) -> None:
        """With `per_key`, only `limiter.key(...)` can be taken: the limiter itself raises RuntimeError.

        Raises ValueError if `max_concurrent` is not positive.
        """
        if max_concurrent < 1:
            raise ValueError("max_concurrent must be at least 1")
        self.max_concurrent = max_concurrent
        self._turns = Turns(max_concurrent)
        self._per_key = per_key
        self._keys = Keyed(lambda: Limiter(max_concurrent))

    def __repr__(self) -> str:
        return f"<Limiter {self.taken} of {self.max_concurrent} taken>"

    def key(self, key: Hashable) -> Limiter:
        """The limiter for a key: the same one while anybody has it or a place in it."""
        return self._keys(key)

    @property
    def taken(self) -> int:
        """How many are in."""
        return self._turns.taken

    @property
    def idle(self) -> bool:
        """Whether nobody is in."""
        return self._turns.idle

    def acquire(self, timeout: float | None = None) -> bool:
        """Take a place, for a thread; False if there was none for `timeout` seconds, None for ever.

        Raises RuntimeError where it would block a running event loop; with `timeout=0` it never does.
        """
        self._check()
        if timeout is None or timeout > 0:
            refuse_on_loop("acquire()", "await limiter.aacquire()")
        return self._turns.take(timeout)

    async def aacquire(self) -> None:
        """Take a place, for a task."""
        self._check()
        await self._turns.atake()

    def release(self) -> None:
        """Give a place back. Raises ValueError if none is taken."""
        self._turns.give()

    def _check(self) -> None:
        if self._per_key:
            raise RuntimeError("this limiter is per key: use limiter.key(...)")

    def __enter__(self) -> Limiter:
        self._check()
        refuse_on_loop("`with`", "async with")
        self._turns.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.give()

    async def __aenter__(self) -> Limiter:
        await self.aacquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.give()
