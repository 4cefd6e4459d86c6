"""What a task's future raises whose worker has died, or of which something could not be loaded."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool

__all__ = ["NotLoaded", "WorkerDied"]


class WorkerDied(BrokenProcessPool):
    """The worker process that ran this task has ended; the pool lives, and so do all other tasks.

    `exitcode` is as `multiprocessing.Process.exitcode`: negative for a signal. It is a `BrokenProcessPool`, so that
    what catches that today catches this.
    """

    def __init__(self, message: str = "", exitcode: int | None = None) -> None:
        super().__init__(message)
        self.exitcode = exitcode

    def __reduce__(self) -> tuple[type[WorkerDied], tuple[str, int | None]]:
        return type(self), (str(self), self.exitcode)


class NotLoaded(BrokenProcessPool):
    """What was sent for a task, or came of it, was pickled and could not be loaded again; `__cause__` says why.

    The pool lives, and so do all other tasks. The standard library's pool breaks of it, so it is a `BrokenProcessPool`.
    """
