"""Where a suspended task stands, what it waits on, and who waits for whom."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple

_LONGEST = 160
_DEEPEST = 200

# Where asyncio keeps what tasks wait on.
_HOMES = ("asyncio/locks.py", "asyncio/queues.py", "asyncio/taskgroups.py", "fenshen/task_groups.py")
_SUSPENDED = (CoroutineType, GeneratorType, AsyncGeneratorType)


class WaitingTask(NamedTuple):
    """A task that waits: its name, what it waits on, and the stack of its awaits, outermost first, each as
    `file:line in function`.
    """

    name: str
    waits_on: str
    stack: list[str]


def describe(waiting: list[Any]) -> list[WaitingTask]:
    """What is to be said about each task, in the same order."""
    return [_describe(task) for task in waiting]


def _describe(task: Any) -> WaitingTask:
    stack = [_place(frame) for frame in _frames(_chain(task))]
    return WaitingTask(_name(task), _shown(_waits_on(task)), stack)


def _name(task: Any) -> str:
    if not isinstance(task, asyncio.Task):
        return _shown(task)
    function = getattr(task.get_coro(), "__name__", None)
    return f"{task.get_name()} ({function})" if function else task.get_name()


def _shown(what: Any) -> str:
    if isinstance(what, asyncio.Task):
        return f"task {_name(what)}"
    try:
        text = repr(what)
    except Exception:
        text = f"<{type(what).__name__} object>"
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _place(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    here = os.path.join(os.getcwd(), "")
    file = file[len(here) :] if file.startswith(here) else file
    return f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"


# -- The chain of awaits ----------------------------------------------------------------------------------------------


def _chain(task: Any) -> list[Any]:
    """The coroutine, what that awaits, what this awaits, and so on; the last one may be any object."""
    chain: list[Any] = []
    get_coro = getattr(task, "get_coro", None)
    step = get_coro() if get_coro is not None else None
    while step is not None and len(chain) < _DEEPEST and not any(step is seen for seen in chain):
        chain.append(step)
        step = _next(step)
    return chain


def _next(step: Any) -> Any:
    for name in ("cr_await", "gi_yieldfrom", "ag_await"):
        if hasattr(step, name):
            return getattr(step, name)
    if isinstance(step, asyncio.Future):
        return None
    # What `await` makes of things that are no coroutines shows what it stands for to the garbage collector only.
    held = gc.get_referents(step)
    for kinds in (_SUSPENDED, asyncio.Future):
        for inner in held:
            if isinstance(inner, kinds):  # type: ignore[arg-type]
                return inner
    return None


def _frames(chain: list[Any]) -> Iterator[FrameType]:
    for step in chain:
        for name in ("cr_frame", "gi_frame", "ag_frame"):
            frame = getattr(step, name, None)
            if frame is not None:
                yield frame


# -- What it waits on -------------------------------------------------------------------------------------------------


def _primitives() -> tuple[type, ...]:
    """Everything tasks wait on that is not a future: asyncio's and our own, which may be under other names."""
    locks = ("Event", "Lock", "Semaphore", "BoundedSemaphore", "Condition", "Barrier")
    names = (*locks, "Queue", "LifoQueue", "PriorityQueue", "TaskGroup")
    found = [getattr(space, name, None) for space in (asyncio, sys.modules["fenshen._fenshen"]) for name in names]
    modules = tuple(sys.modules.get(name) for name in ("asyncio.locks", "asyncio.queues", "fenshen.task_groups"))
    found += [getattr(module, name, None) for module in modules for name in names]
    return tuple(kind for kind in found if isinstance(kind, type))


def _waits_on(task: Any) -> Any:
    waiter = getattr(task, "_fut_waiter", None)
    if isinstance(waiter, asyncio.Task):
        return waiter
    chain = _chain(task)
    kinds = _primitives()
    for step in reversed(chain):
        if isinstance(step, kinds):
            return step
        frame = next(_frames([step]), None)
        if frame is not None:
            if frame.f_code.co_filename.endswith(_HOMES):
                owner = frame.f_locals.get("self")
                if isinstance(owner, kinds):
                    return owner
            break
        inner = next((held for held in gc.get_referents(step) if isinstance(held, kinds)), None)
        if inner is not None:
            return inner
    if waiter is not None:
        return waiter
    return chain[-1] if len(chain) > 1 else task


# -- Who waits for whom -----------------------------------------------------------------------------------------------


def find_cycle(waiting: list[Any]) -> list[WaitingTask]:
    """Tasks that wait for each other in a ring, each for the next one; empty if none is found."""
    real = [task for task in waiting if isinstance(task, asyncio.Task)]
    held = [(task, thing) for task in real for thing in holds(task)]
    edges = {id(task): _waits_for(task, real, held) for task in real}
    for start in real:
        path: list[Any] = []
        if _walk(start, edges, path, set()):
            return describe(path)
    return []


def _walk(task: Any, edges: dict[int, list[Any]], path: list[Any], dead: set[int]) -> bool:
    for at, seen in enumerate(path):
        if seen is task:
            del path[:at]
            return True
    if id(task) in dead:
        return False
    path.append(task)
    if any(_walk(after, edges, path, dead) for after in edges.get(id(task), ())):
        return True
    path.pop()
    dead.add(id(task))
    return False


def _waits_for(task: Any, real: list[Any], held: list[tuple[Any, Any]]) -> list[Any]:
    what = _waits_on(task)
    # A gathering future, a task group: what it waits for in turn.
    inner = [*getattr(what, "_children", ()), *getattr(what, "_tasks", ())]
    wanted = {id(what), *map(id, inner)}
    return [t for t in real if id(t) in wanted] + [owner for owner, thing in held if thing is what]


def holds(task: Any) -> list[Any]:
    """The locks inside whose `async with` the task is: a suspended frame keeps the method that will release them."""
    found = []
    for step in _chain(task):
        if not isinstance(step, _SUSPENDED):
            continue
        frame = next(_frames([step]), None)
        kept = gc.get_referents(step if sys.version_info >= (3, 11) or frame is None else frame)
        found += [lock for lock in _to_release(kept) if hasattr(lock, "locked")]
    entering = _waits_on(task)
    # It also keeps the method of the one that it is about to enter.
    for at, lock in enumerate(found):
        if lock is entering:
            del found[at]
            break
    return found


def _to_release(kept: list[Any]) -> Iterator[Any]:
    for at, method in enumerate(kept):
        if getattr(method, "__name__", None) != "__aexit__":
            continue
        owner = getattr(method, "__self__", None)
        if owner is not None:
            yield owner
        else:  # from 3.14 on, the function and its object lie side by side
            yield from kept[at + 1 : at + 2]
