"""`RateLimiter`: so many a second, threads and tasks alike.

The generic cell rate algorithm, in its form as virtual scheduling (ITU-T Recommendation I.371, and the ATM Forum's
Traffic Management Specification 4.0, 1996): it lets the same through as a token bucket, and keeps one number, the time
at which the next would come if all came evenly.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable
from types import TracebackType

from fenshen.flow._keyed import Keyed
from fenshen.flow._turns import Turns, refuse_on_loop

__all__ = ["RateLimiter"]


class RateLimiter:
    """Lets `rate` a second through, after a pause up to `burst` at once: `with limiter:`, `async with limiter:`.

    In any stretch of t seconds no more than `burst + rate * t` pass. Threads and tasks wait in one line, first come,
    first served; who is cancelled gives his place to the next. `limiter.key("host")` is one for that key alone.
    """

    def __init__(self, rate: float, burst: int = 1, *, per_key: bool = False) -> None:
        """With `per_key`, only `limiter.key(...)` can be taken: the limiter itself raises RuntimeError.

        Raises ValueError if `rate` or `burst` is not positive.
        """
        if not rate > 0:
            raise ValueError("rate must be greater than 0")
        if burst < 1:
            raise ValueError("burst must be at least 1")
        self.rate = rate
        self.burst = burst
        self._gap = 1 / rate
        self._tolerance = (burst - 1) * self._gap
        self._due = float("-inf")  # when the next would come if all came evenly
        self._first = Turns(1)  # whoever has it is the first of the line, and waits for his time
        self._per_key = per_key
        self._keys = Keyed(lambda: RateLimiter(rate, burst))

    def __repr__(self) -> str:
        return f"<RateLimiter {self.rate:g}/s, {self.burst} at once>"

    def key(self, key: Hashable) -> RateLimiter:
        """The limiter for a key: the same one while anybody has it or its past matters."""
        return self._keys(key)

    @property
    def idle(self) -> bool:
        """Whether as many as ever could pass now."""
        return self._first.idle and self._due <= time.monotonic()

    def acquire(self, timeout: float | None = None) -> bool:
        """Wait for its time, in a thread; False, without waiting in vain, if that is over `timeout` seconds away.

        Raises RuntimeError where it would block a running event loop; with `timeout=0` it never does.
        """
        self._check()
        if timeout is None or timeout > 0:
            refuse_on_loop("acquire()", "await limiter.aacquire()")
        end = float("inf") if timeout is None else time.monotonic() + timeout
        if not self._first.take(timeout):
            return False
        try:
            left = self._left()
            if left > 0:
                if time.monotonic() + left > end:
                    return False
                time.sleep(left)
            self._pass()
            return True
        finally:
            self._first.give()

    async def aacquire(self) -> None:
        """Wait for its time, in a task."""
        self._check()
        await self._first.atake()
        try:
            while (left := self._left()) > 0:  # a loop's clock may be a little ahead
                await asyncio.sleep(left)
            self._pass()
        finally:
            self._first.give()

    def _left(self) -> float:
        """Seconds until the next may pass."""
        return self._due - self._tolerance - time.monotonic()

    def _pass(self) -> None:
        self._due = max(self._due, time.monotonic()) + self._gap

    def _check(self) -> None:
        if self._per_key:
            raise RuntimeError("this limiter is per key: use limiter.key(...)")

    def __enter__(self) -> RateLimiter:
        refuse_on_loop("`with`", "async with")
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is given back: a rate counts who went in."""

    async def __aenter__(self) -> RateLimiter:
        await self.aacquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is given back: a rate counts who went in."""
