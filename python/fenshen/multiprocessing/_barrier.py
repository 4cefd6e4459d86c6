"""`Barrier`: where processes wait until so many have come."""

from __future__ import annotations

import multiprocessing.synchronize as _standard
import struct
from multiprocessing import context
from threading import BrokenBarrierError

from fenshen import _segments
from fenshen._processes import Block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import BaseContext
    from typing import Any

# What lies in shared memory: which round it is, how many have come, whether it is broken, and for each of the last
# rounds whether it failed.
_ROUND, _COME, _BROKEN, _FAILED = range(4)
_KEPT = 64


class Barrier(_standard.Barrier):
    """A barrier that processes share; see `multiprocessing.Barrier`.

    Rounds are counted, so nobody waits for those of the last round to leave, and one that was killed after its round
    was full holds up nobody.
    """

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: BaseContext | None,
    ):
        ctx = ctx or context._default_context.get_context()
        block = Block(struct.calcsize("I") * (_FAILED + _KEPT))
        self.__setstate__((parties, action, timeout, ctx.Condition(), block))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._parts = state
        self._cells = state[-1].create_memoryview().cast("I")

    def __getstate__(self) -> tuple[Any, ...]:
        _segments.check(self)
        return self._parts

    _parties, _action, _timeout, _cond, _wrapper = (property(lambda self, i=i: self._parts[i]) for i in range(5))

    @property
    def parties(self) -> int:
        """How many it takes."""
        return self._parties

    @property
    def n_waiting(self) -> int:
        """How many wait now."""
        return self._cells[_COME]

    @property
    def broken(self) -> bool:
        """Whether it is broken."""
        return bool(self._cells[_BROKEN])

    def __repr__(self) -> str:
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        if self.broken:
            return f"<{name} at {id(self):#x}: broken>"
        return f"<{name} at {id(self):#x}: waiters={self.n_waiting}/{self.parties}>"

    def wait(self, timeout: float | None = None) -> int:
        """Wait until so many have come, for `timeout` seconds at most; returns a number of one's own from 0 on.

        Raises BrokenBarrierError if it is broken, or breaks or is reset meanwhile, as it does when the timeout passes.
        """
        cells = self._cells
        with self._cond:
            if cells[_BROKEN]:
                raise BrokenBarrierError
            number = cells[_COME]
            cells[_COME] = number + 1
            if number + 1 >= self._parties:
                self._complete()
            else:
                self._wait_for_others(self._timeout if timeout is None else timeout)
            return number

    def _complete(self) -> None:
        if self._action:
            try:
                self._action()
            except BaseException:
                self._cells[_BROKEN] = 1
                self._end_round(failed=True)
                raise
        self._end_round(failed=False)

    def _wait_for_others(self, timeout: float | None) -> None:
        cells = self._cells
        this = cells[_ROUND]
        try:
            complete = self._cond.wait_for(lambda: cells[_ROUND] != this, timeout)
        except BaseException:
            if cells[_ROUND] == this:
                cells[_COME] -= 1
            raise
        if not complete:
            self.abort()
        if cells[_FAILED + this % _KEPT]:
            raise BrokenBarrierError

    def _end_round(self, *, failed: bool) -> None:
        cells = self._cells
        this = cells[_ROUND]
        cells[_FAILED + this % _KEPT] = failed
        cells[_COME] = 0
        cells[_ROUND] = (this + 1) & 0xFFFFFFFF
        self._cond.notify_all()

    def reset(self) -> None:
        """Begin again; those who wait get BrokenBarrierError."""
        with self._cond:
            self._cells[_BROKEN] = 0
            if self._cells[_COME]:
                self._end_round(failed=True)

    def abort(self) -> None:
        """Break it: those who wait, and those who come until it is reset, get BrokenBarrierError."""
        with self._cond:
            self._cells[_BROKEN] = 1
            self._end_round(failed=True)
