"""The queues of `multiprocessing`, in shared memory: `from fenshen.multiprocessing.queues import Queue`.

Each derives from the standard library's class of that name. They reach other processes as those do, and also as
arguments and results of tasks of our pools and as items of other queues. Objects are pickled when they are put; a
process
that is killed at any point takes along what it has put and was not in shared memory yet, and nothing of the others.
"""

from __future__ import annotations

import multiprocessing.queues as _standard
import os
from multiprocessing import reduction, util
from multiprocessing.queues import Empty as Empty
from multiprocessing.queues import Full as Full

from fenshen import _pins, _processes, _segments
from fenshen.multiprocessing import _queue_ends

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from typing import Any

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]


class _Shared:
    """What the queues have in common: how they are made, and how they reach other processes."""

    __slots__ = ()

    _rlock = _wlock = _queue_ends.NoLock()

    def _make(self, bound: int) -> None:
        self._create(_processes.Segment(_processes.QUEUE_LENGTH), bound)

    @property
    def _reader(self) -> _queue_ends.Reader:
        return _queue_ends.Reader(self)

    @property
    def _writer(self) -> _queue_ends.Writer:
        return _queue_ends.Writer(self)

    def _poll(self, timeout: float | None = 0.0) -> bool:
        return self._reader.poll(timeout)

    def _share(self) -> tuple[Any, Any]:
        _segments.check(self)
        return self._segment, _queue_ends.reduce_sign(self)

    def _adopt(self, segment: Any, sign: Any) -> None:
        fd = _queue_ends.open_sign(sign)
        try:
            self._attach(segment, fd)
        finally:
            os.close(fd)

    def _pinned(self, number: int | None, pins: list[Any]) -> None:
        _pins.keep(self, _is_taken, number, pins)


class Queue(_Shared, _processes.Queue, _standard.Queue):
    """A queue that processes share; see `multiprocessing.Queue`.

    `put` pickles the object at once. When the shared memory is full, `put` returns all the same: a thread passes on
    what
    waits, and this process waits at its end until that is done, unless `cancel_join_thread()` says otherwise.
    """

    # An instance without a dict has its methods found twice as fast.
    __slots__ = ("_ignore_epipe", "_is_fork_ctx", "_joincancelled", "_maxsize", "_opid")

    def __init__(self, maxsize: int = 0, *, ctx: BaseContext):
        if maxsize <= 0:
            from multiprocessing.synchronize import SEM_VALUE_MAX as maxsize
        self._maxsize = maxsize
        self._opid = os.getpid()
        self._ignore_epipe = False
        self._is_fork_ctx = ctx.get_start_method() == "fork"
        self._make(maxsize)
        self._reset()
        util.register_after_fork(self, Queue._after_fork)

    def __getstate__(self) -> tuple[Any, ...]:
        place = self._share()
        _segments.keep_apart(self._is_fork_ctx)
        fork = self._is_fork_ctx and _segments.is_carried()
        return (*place, self._ignore_epipe, self._maxsize, self._opid, fork)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        segment, sign, self._ignore_epipe, self._maxsize, self._opid, self._is_fork_ctx = state
        self._adopt(segment, sign)
        self._reset()
        util.register_after_fork(self, Queue._after_fork)

    def _after_fork(self) -> None:
        self._reset(after_fork=True)

    def _reset(self, after_fork: bool = False) -> None:
        super()._reset()
        self._joincancelled = False

    def close(self) -> None:
        """Put and take nothing more through this object; what was put stays for the others."""
        self._close_put()
        if self._used:
            self._close_get()

    def join_thread(self) -> None:
        """Wait until what this process has put is in shared memory; only after `close()`."""
        util.debug("Queue.join_thread()")
        assert self._closed, f"Queue {self!r} not closed"
        if not self._joincancelled:
            self._flush()

    def cancel_join_thread(self) -> None:
        """Have this process end without waiting until what it has put is in shared memory: it may be lost."""
        util.debug("Queue.cancel_join_thread()")
        self._joincancelled = True
        _unsent.forget(self)

    def _started_feeding(self) -> None:
        if not self._joincancelled:
            _unsent.add(self)

    def _terminate_broken(self) -> None:
        self._reader.close()
        self.close()
        self._abandon()

    def _pickling_failed(self, error: Exception, obj: Any) -> None:
        try:
            raise error
        except Exception as e:
            self._on_queue_feeder_error(e, obj)

    @property
    def _buffer(self) -> range:
        """As long as there are objects in this process that the shared memory has no room for."""
        return range(self._waiting)


class JoinableQueue(_processes.JoinableQueue, Queue, _standard.JoinableQueue):
    """A queue whose items can be waited for until they are done; see `multiprocessing.JoinableQueue`."""

    __slots__ = ()

    def __init__(self, maxsize: int = 0, *, ctx: BaseContext):
        Queue.__init__(self, maxsize, ctx=ctx)

    def __getstate__(self) -> tuple[Any, ...]:
        return Queue.__getstate__(self)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        Queue.__setstate__(self, state)


class SimpleQueue(_Shared, _processes.SimpleQueue, _standard.SimpleQueue):
    """A queue without bound and timeouts; see `multiprocessing.SimpleQueue`. `put` waits while the memory is full."""

    __slots__ = ()

    def __init__(self, *, ctx: BaseContext):
        self._make(0)

    def __getstate__(self) -> tuple[Any, ...]:
        return self._share()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._adopt(*state)

    def close(self) -> None:
        """Put and take nothing more through this object."""
        self._reader.close()
        self._writer.close()


def _is_taken(queue: Any, number: int | None) -> bool:
    return queue.empty() if number is None else queue._was_taken(number)


class _Unsent:
    """The queues of which this process still holds something when it ends."""

    def __init__(self) -> None:
        self._queues: list[Queue] = []
        self._pid = 0

    def add(self, queue: Queue) -> None:
        if self._pid != os.getpid():
            self._queues, self._pid = [], os.getpid()
            util.Finalize(None, self._flush, exitpriority=-5)
        # It stays alive until there is nothing left of it, whether somebody else has it or not.
        self._queues = [q for q in self._queues if q._waiting and q is not queue]
        self._queues.append(queue)

    def forget(self, queue: Queue) -> None:
        self._queues = [q for q in self._queues if q is not queue]

    def _flush(self) -> None:
        util.debug("joining queue threads")
        for queue in self._queues:
            queue._flush()


_unsent = _Unsent()
_ForkingPickler = reduction.ForkingPickler
