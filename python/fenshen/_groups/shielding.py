"""`shield`: a child that is not cancelled with its group."""

from __future__ import annotations

import asyncio
import weakref

from fenshen._groups.core import entered_groups
from fenshen._groups.handles import Handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator
    from typing import Any

    from fenshen.task_groups import TaskGroup

__all__ = ["is_shielded", "protect", "shield", "shielded_tasks"]

_shielded: weakref.WeakSet[Any] = weakref.WeakSet()


def shielded_tasks() -> Any:
    """Tasks and futures that no group must cancel, None if there are none."""
    return _shielded or None


def is_shielded(child: Any) -> bool:
    """Whether its group must not cancel it."""
    return child.shielded if isinstance(child, Handle) else bool(_shielded) and child in _shielded


def shield(awaitable: Any, /) -> Any:
    """Protect a child from the cancellation of its group, which waits for it all the same.

    A handle is returned as it is. Of a task, a future or a coroutine the result is to be awaited, as that of
    `asyncio.shield`: when the awaiting task is cancelled, what it awaits goes on. A coroutine that is awaited so
    becomes a child of the group that the awaiting task is in, even while that is being cancelled; if nobody awaits it
    any more, its error is the group's. `cancel()` of the task or the handle itself works as ever.

    Raises TypeError for anything else.
    """
    if isinstance(awaitable, Handle):
        awaitable.shielded = True
        return awaitable
    if asyncio.isfuture(awaitable):
        _shielded.add(awaitable)
    elif not hasattr(awaitable, "__await__"):
        raise TypeError(f"a handle, a task or something else to await is required, not {type(awaitable).__name__!r}")
    return _Shield(awaitable)


class _Shield:
    """What `shield` returns."""

    __slots__ = ("_awaitable",)

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, None, Any]:
        awaitable = self._awaitable
        if asyncio.isfuture(awaitable):
            outer: Any = asyncio.shield(awaitable)
            return (yield from outer)
        group = _group_of(asyncio.current_task())
        outer = asyncio.shield(awaitable) if group is None else group._shelter(awaitable)
        return (yield from outer)


def _group_of(task: Any) -> TaskGroup | None:
    """The group whose body the task is in, the innermost, or whose child it is."""
    groups: list[Any] = entered_groups()
    return next((group for group in groups if group._parent_task is task), None) or next(
        (group for group in groups if task in group._tasks), None
    )


def protect(task: Any) -> None:
    """Have a task be shielded."""
    _shielded.add(task)
