"""`wait` and `as_completed`: for futures of ours, the standard library's and anyone's who has its attributes."""

from __future__ import annotations

import time
from concurrent.futures import _base
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED, DoneAndNotDoneFutures

from fenshen import _threads
from fenshen._threads import Future, FutureWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["Future", "as_completed", "wait"]

_threads.meet_futures()


class _Watched:
    """Futures that tell a `FutureWatch` when they are done, and `done`: those that were already."""

    def __init__(self, watch: FutureWatch, futures: Iterable[Any]) -> None:
        self.watch = watch
        self.left: set[Any] = set()
        self.done: list[Any] = []
        enter = watch.enter
        try:
            for future in futures:
                over = enter(future) if type(future) is Future else self._enter_foreign(future)
                if over:
                    self.done.append(future)
                else:
                    self.left.add(future)
        except BaseException:
            self.leave()
            raise

    def _enter_foreign(self, future: Any) -> bool:
        with future._condition:
            if future._state in (CANCELLED_AND_NOTIFIED, FINISHED):
                return True
            self.watch.expect()
            future._waiters.append(self.watch)
        return False

    def told(self) -> list[Any]:
        """Those that are done since this was last asked, oldest first."""
        done = self.watch.take()
        for future in done:
            self.left.discard(future)
            _leave(self.watch, future)
        return done

    def leave(self) -> None:
        """Tell the others that nobody asks any more."""
        while self.left:
            _leave(self.watch, self.left.pop())


def _leave(watch: FutureWatch, future: Any) -> None:
    if type(future) is Future:
        watch.leave(future)
        return
    with future._condition:
        if watch in future._waiters:
            future._waiters.remove(watch)


def wait(fs: Iterable[Any], timeout: float | None = None, return_when: str = _base.ALL_COMPLETED) -> Any:
    """Wait until futures are done, up to `timeout` seconds, None for ever.

    `return_when` is FIRST_COMPLETED (when any is finished or cancelled), FIRST_EXCEPTION (when any has raised, or all
    are done) or ALL_COMPLETED. Returns the named tuple `(done, not_done)` of sets. Raises ValueError for another
    `return_when`, unless all are done already.
    """
    futures = set(fs)
    if return_when not in (_base.FIRST_COMPLETED, _base.FIRST_EXCEPTION, _base.ALL_COMPLETED):
        if all(future._state in (CANCELLED_AND_NOTIFIED, FINISHED) for future in futures):
            return DoneAndNotDoneFutures(futures, set())
        raise ValueError(f"Invalid return condition: {return_when!r}")
    watched = _Watched(FutureWatch(return_when), futures)
    done = set(watched.done)
    try:
        if watched.left and not _is_over(done, return_when):
            watched.watch.wait(timeout)
        done.update(watched.told())
    finally:
        watched.leave()
    return DoneAndNotDoneFutures(done, futures - done)


def _is_over(done: set[Any], return_when: str) -> bool:
    if return_when == _base.FIRST_COMPLETED:
        return bool(done)
    if return_when == _base.FIRST_EXCEPTION:
        return any(not future.cancelled() and future.exception() is not None for future in done)
    return False


def as_completed(fs: Iterable[Any], timeout: float | None = None) -> Iterator[Any]:
    """Yield each of the futures once, as it is finished or cancelled: first those that are already.

    Raises TimeoutError `timeout` seconds after the call, None for never, if some are not done by then.
    """
    end = None if timeout is None else timeout + time.monotonic()
    futures = set(fs)
    total = len(futures)
    watched = _Watched(FutureWatch(_base.FIRST_COMPLETED), futures)
    futures.clear()
    ready, watched.done = watched.done, []
    try:
        while True:
            ready.reverse()
            while ready:
                # No reference to what is yielded may stay behind.
                yield ready.pop()
            if not watched.left:
                return
            left = None if end is None else end - time.monotonic()
            if left is not None and left < 0:
                raise _base.TimeoutError(f"{len(watched.left)} (of {total}) futures unfinished")
            watched.watch.wait(left)
            ready = watched.told()
    finally:
        watched.leave()
