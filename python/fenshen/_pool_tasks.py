"""What pools of threads and of processes with the methods of `multiprocessing.Pool` have in common: where tasks are
put, and how their outcomes come to the results that wait for them.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from concurrent.futures import CancelledError
from queue import SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["Tasks", "cancelled"]


class Tasks:
    """What a pool puts its tasks into: `put((tasks, set_length))`, as it does into its `_taskqueue`.

    Tasks go to the workers straight from the thread that submits them. There are two threads beside those, each started
    when it is needed: one takes the items of `imap()`, which may never end, and one calls the callbacks, one at a time.
    """

    def __init__(self, cache: dict[int, Any]) -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._setting = threading.Lock()
        self._feed: SimpleQueue[Any] | None = None
        self._outcomes: SimpleQueue[Any] | None = None
        self._closed = False
        self._over = False
        # How many threads are putting tasks in, and whether the helper that takes the items of `imap()` still is: until
        # they are done, the workers stay.
        self._adding = 0
        self._taking = False
        self.helpers: list[threading.Thread] = []

    # -- What the workers are, which a pool says ----------------------------------------------------------------------

    #: Why no task will be made any more, if something went wrong.
    broken: BaseException | None = None

    def qsize(self) -> int:
        """How many tasks wait for a worker."""
        raise NotImplementedError

    def _send(self, parts: Any) -> None:
        """Have a worker do a task: its job, its index in that, a function, arguments and keyword arguments."""
        raise NotImplementedError

    def _send_item(self, parts: Any) -> None:
        """The same for an item of `imap()`, which may be one of too many."""
        self._send(parts)

    def _throw_away(self) -> None:
        """Discard the tasks that wait."""
        raise NotImplementedError

    def _end_workers(self) -> None:
        """Have the workers end when they have done what waits."""
        raise NotImplementedError

    # -- Tasks --------------------------------------------------------------------------------------------------------

    def empty(self) -> bool:
        """Whether no task waits for a worker."""
        return self.qsize() == 0

    def put(self, sequence: Any) -> None:
        """Take tasks: at once, unless their number is told when there are no more."""
        tasks, set_length = sequence
        if set_length is None:
            self._add_all(tasks)
            return
        with self._lock:
            if self._feed is None:
                self._taking = True
                self._feed = self._help(self._take_items, "_handle_tasks")
        self._feed.put(sequence)

    def _add_all(self, tasks: Iterable[Any]) -> None:
        with self._lock:
            late = self._closed
            self._adding += 1
        try:
            for parts in tasks:
                if late:
                    self.discard(*parts[:2], cancelled())
                else:
                    self._add(self._send, parts)
        finally:
            with self._lock:
                self._adding -= 1
            self._close()

    def _add(self, send: Callable[[Any], None], parts: Any) -> None:
        if self.broken is not None:
            self.discard(*parts[:2], self.broken)
            return
        try:
            send(parts)
        except BaseException as e:  # an interrupt, or what pickling raised that is no Exception
            self.discard(*parts[:2], e)
            raise
        if self._over:  # said before what waits is thrown away: one of the two sees the task
            self._throw_away()

    def _close(self) -> None:
        """Have the workers end, if no more tasks will come."""
        with self._lock:
            over = self._closed and not self._adding and not self._taking
        if over:
            self._end_workers()

    def _help(self, target: Callable[..., None], name: str) -> SimpleQueue[Any]:
        queue: SimpleQueue[Any] = SimpleQueue()
        helper = threading.Thread(target=target, args=(queue,), daemon=True)
        helper.name = f"{helper.name.partition(' ')[0]} ({name})"
        helper.start()
        self.helpers.append(helper)
        return queue

    def _take_items(self, feed: SimpleQueue[Any]) -> None:
        for tasks, set_length in iter(feed.get, None):
            count = 0
            for parts in tasks:
                count += 1
                if self._over:
                    job, index = parts[:2]
                    self.discard(job, index, cancelled())
                    break
                with contextlib.suppress(BaseException):  # the result has it, and this thread others to serve
                    self._add(self._send_item, parts)
                del parts
            set_length(count)
            tasks = set_length = None
        self._taking = False
        self._close()

    # -- Outcomes -----------------------------------------------------------------------------------------------------

    def deliver(self, job: int, index: int, outcome: tuple[bool, Any]) -> None:
        """An outcome for the result that waits for it, by way of its callbacks."""
        result = self._cache.get(job)
        if result is None:
            return
        if getattr(result, "_callback", None) or getattr(result, "_error_callback", None):
            with self._lock:
                if self._outcomes is None:
                    self._outcomes = self._help(self._call_back, "_handle_results")
            self._outcomes.put((result, index, outcome))
            return
        with self._setting:
            result._set(index, outcome)
        self._settle()

    def _call_back(self, outcomes: SimpleQueue[Any]) -> None:
        for result, index, outcome in iter(outcomes.get, None):
            try:
                result._set(index, outcome)
            except BaseException:
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
                _end(result, *outcome)
            result = outcome = None
            self._settle()

    def discard(self, job: int, index: int, why: BaseException) -> None:
        """A task will not be made: have nobody wait for it, and call no callback."""
        result = self._cache.get(job)
        if result is None:
            return
        if hasattr(result, "_event"):
            _end(result, False, why)
        else:
            result._set(index, (False, why))

    def end(self, at_once: bool) -> None:
        """No more tasks will come; with `at_once`, those that wait are not made."""
        self._over = at_once
        if at_once:
            self._end_workers()
            self._throw_away()
        with self._lock:
            self._closed = True
            if self._feed is not None:
                self._feed.put(None)
        self._close()
        self._settle()

    def _settle(self) -> None:
        """Have the thread that calls the callbacks end, if there will be no more."""
        if self._closed and not self._cache and self._outcomes is not None:
            self._outcomes.put(None)


def _end(result: Any, success: bool, value: Any) -> None:
    """End a result whose callback failed, or which will never be had."""
    if not result._event.is_set():
        result._success, result._value = success, value
        result._cache.pop(result._job, None)
        result._event.set()
        result._pool = None


def cancelled() -> CancelledError:
    """What the result of a task raises that a pool dropped."""
    return CancelledError("the pool was terminated")
