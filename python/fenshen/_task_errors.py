"""What the tasks of worker processes fail with, in the words of each kind of pool."""

from __future__ import annotations

import signal
from concurrent.futures import _base, process

from fenshen import _pickling
from fenshen.worker_died import NotLoaded, WorkerDied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess
    from typing import Any

__all__ = ["OF_EXECUTORS", "TaskErrors", "ending"]


class TaskErrors:
    """Makes the exceptions of tasks that a worker, its pool or pickling has failed."""

    def __init__(
        self,
        broken: Callable[[str], BaseException] = RuntimeError,
        *,
        closed: Callable[[], BaseException] | None = None,
        died: Callable[[str, int | None], BaseException] | None = None,
        remote: Callable[[str], BaseException] | None = None,
        unloaded: Callable[[str], BaseException] | None = None,
    ) -> None:
        """`broken` makes that of a pool that has given up, `closed` of one that was closed; `died` that of a worker's
        death, from words and its exit status; `remote` the cause of what a task raised, which shows its traceback;
        `unloaded` that of a task of which something could not be loaded."""
        self.broken = broken
        self.closed = closed or (lambda: broken("the pool was closed"))
        self._died = died or (lambda words, _: broken(words))
        self._remote = remote
        self._unloaded = unloaded

    def died(self, process: BaseProcess | None) -> BaseException:
        """The error of the task that a worker ran which ended, and was known by then or not."""
        if process is None:
            return self._died("the worker process was ended", None)
        words = f"the worker process {process.pid} ended while it ran this task: {ending(process.exitcode)}"
        return self._died(words, process.exitcode)

    def not_pickled(self, exc: BaseException, what: tuple[Any, tuple[Any, ...], dict[str, Any]]) -> BaseException:
        """The error of a call that cannot be pickled, with the culprit's path."""
        function, args, kwargs = what
        where = {"args": args, "kwargs": kwargs}
        for name, part in where.items():
            if not _pickling.pickles(part):
                return _pickling.explain(exc, part, name)
        return _pickling.explain(exc, function, "the function")

    def timed_out(self, seconds: float) -> BaseException:
        """The error of a task that ran too long."""
        return _base.TimeoutError(f"the task ran for more than {seconds:g} s, and was ended with its worker")

    def failed(self, pair: tuple[BaseException, str]) -> BaseException:
        """The exception that a task raised, with the traceback that it had in the worker."""
        exc, text = pair
        if self._remote is not None:
            # Past what the class may do about its attributes.
            BaseException.__setattr__(exc, "__cause__", self._remote(f'\n"""\n{text}"""'))
        return exc

    def not_loaded(self, what: str, exc: BaseException) -> BaseException:
        """The error of a task of which something arrived and could not be loaded."""
        if self._unloaded is None:
            return exc
        error = self._unloaded(f"{what} could not be loaded: {type(exc).__name__}: {exc}")
        error.__cause__ = exc
        return error


#: Those of the pools that are executors.
OF_EXECUTORS = TaskErrors(
    process.BrokenProcessPool,
    died=WorkerDied,
    remote=process._RemoteTraceback,  # type: ignore[attr-defined]
    unloaded=NotLoaded,
)


def ending(exitcode: int | None) -> str:
    """How a process has ended, in words."""
    if exitcode is None or exitcode >= 0:
        return f"exit status {exitcode}"
    try:
        return f"killed by {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"killed by signal {-exitcode}"
