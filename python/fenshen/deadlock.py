"""`DeadlockError`, for threads and event loops both, and what it tells of those who wait."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from fenshen._awaiting import WaitingTask as WaitingTask

__all__ = ["DeadlockError", "WaitingTask", "WaitingThread"]


class WaitingThread(NamedTuple):
    """A thread that waits: its name, what it waits for, the name of the thread that holds this or is it (None if nobody
    in particular), and where it stands, outermost first, each as `file:line in function`.

    `acquired` is where the owner acquired what this thread waits for, with `deadlock_origins=True`; empty otherwise.
    """

    name: str
    waits_on: str
    owner: str | None
    stack: list[str]
    acquired: list[str] = []  # noqa: RUF012


class DeadlockError(RuntimeError):
    """Nothing in this process can end the wait.

    `tasks` describes every waiting task of a stalled event loop (`WaitingTask`: `name`, `waits_on`, `stack`), the one
    that got this error first. `cycle` holds those who wait for each other in a ring, each for the next one and the last
    for the first: tasks, or threads (`WaitingThread`). Where there is no ring it is empty for tasks, and for threads
    every thread that waits.
    """

    __module__ = "fenshen"

    def __init__(
        self,
        message: str = "",
        tasks: Sequence[WaitingTask] = (),
        cycle: Sequence[WaitingTask | WaitingThread] = (),
    ) -> None:
        super().__init__(message)
        self.tasks = list(tasks)
        self.cycle = list(cycle)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (*self.args, self.tasks, self.cycle)


def __getattr__(name: str) -> object:
    if name == "WaitingTask":  # it comes with all of asyncio
        from fenshen._awaiting import WaitingTask

        return WaitingTask
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
