"""What the native types ask of Python: texts, logging, and whatever happens once in a blue moon.

Nothing here runs while all goes well.
"""

from __future__ import annotations

import gc
import inspect
import socket
import sys
from asyncio import base_events, base_futures, base_tasks, coroutines, format_helpers, tasks
from typing import Any
from weakref import WeakSet

from fenshen._kind import Kind as Kind

# -- How things show themselves ---------------------------------------------------------------------------------------

_DEBUG_KEYWORD = "debug" in inspect.signature(format_helpers._format_callback_source).parameters


def callback_source(loop: Any, callback: Any, args: tuple[Any, ...]) -> str:
    """`callback(*args) at file:line`, as asyncio writes it."""
    if _DEBUG_KEYWORD:
        return format_helpers._format_callback_source(callback, args, debug=loop.get_debug())
    return format_helpers._format_callback_source(callback, args)


def handle_repr(handle: Any) -> str:
    """asyncio's text for a handle: `<Handle f() at file.py:12>`."""
    if handle._repr is not None:
        return handle._repr
    source = handle._source_traceback
    info = [type(handle).__name__]
    if handle._cancelled:
        info.append("cancelled")
    if hasattr(handle, "when"):
        info.append(f"when={handle._when}")
    if handle._callback is not None:
        info.append(callback_source(handle._loop, handle._callback, handle._args))
    if source:
        info.append(f"created at {source[-1][0]}:{source[-1][1]}")
    return f"<{' '.join(info)}>"


if sys.version_info >= (3, 11):
    future_repr = base_futures._future_repr
    task_repr = base_tasks._task_repr
else:

    def future_repr(future: Any) -> str:
        """asyncio's text for a future: `<Future pending>`."""
        return f"<{type(future).__name__} {' '.join(base_futures._future_repr_info(future))}>"

    def task_repr(task: Any) -> str:
        """asyncio's text for a task: `<Task pending name='Task-1' coro=<f() running at ...>>`."""
        return f"<{type(task).__name__} {' '.join(base_tasks._task_repr_info(task))}>"


# -- What went wrong --------------------------------------------------------------------------------------------------


def callback_failed(loop: Any, handle: Any, exception: BaseException) -> None:
    """Tell the loop's exception handler that a handle's callback raised."""
    shown = callback_source(loop, handle._callback, handle._args)
    context = {"message": f"Exception in callback {shown}", "exception": exception, "handle": handle}
    if handle._source_traceback:
        context["source_traceback"] = handle._source_traceback
    loop.call_exception_handler(context)


def done_callback_failed(loop: Any, callback: Any, future: Any, exception: BaseException) -> None:
    """Tell the loop's exception handler that a future's done-callback raised."""
    shown = callback_source(loop, callback, (future,))
    handle = base_events.events.Handle(callback, (future,), loop)
    loop.call_exception_handler({"message": f"Exception in callback {shown}", "exception": exception, "handle": handle})


def step_failed(loop: Any, task: Any, exception: BaseException) -> None:
    """Tell the loop's exception handler that a task could not take its step."""
    loop.call_exception_handler({"message": f"Exception in a step of {task!r}", "exception": exception, "task": task})


def slow(loop: Any, what: Any, parts: tuple[Any, tuple[Any, ...]] | None, took: float) -> None:
    """Debug mode: log a step (of a task, or of a callback and its arguments) that took longer than
    `loop.slow_callback_duration` seconds."""
    shown = repr(what)
    if parts is not None:
        callback, args = parts
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, tasks.Task):
            shown = repr(owner)
        else:
            kind = type(what).__name__ if hasattr(what, "_run") else "Handle"
            source = getattr(what, "_source_traceback", None)
            created = f" created at {source[-1][0]}:{source[-1][1]}" if source else ""
            shown = f"<{kind} {callback_source(loop, callback, args)}{created}>"
    base_events.logger.warning("Executing %s took %.3f seconds", shown, took)


# -- Checks and rare ways ---------------------------------------------------------------------------------------------


# 3.14 warns of the public name.
_is_coroutine_function = getattr(coroutines, "_iscoroutinefunction", None) or coroutines.iscoroutinefunction


def check_callback(loop: Any, callback: Any, method: str) -> None:
    """Debug mode: raise TypeError unless `callback` is a callable and no coroutine or coroutine function."""
    if coroutines.iscoroutine(callback) or _is_coroutine_function(callback):
        raise TypeError(f"coroutines cannot be used with {method}()")
    if not callable(callback):
        raise TypeError(f"a callable object was expected by {method}(), got {callback!r}")


_create_task = base_events.BaseEventLoop.create_task


def create_task_by_factory(loop: Any, factory: Any, coro: Any, kwargs: dict[str, Any]) -> Any:
    """`loop.create_task` where a task factory is set: asyncio's own way."""
    return _create_task(loop, coro, **kwargs)


async def resolve(loop: Any, sock: Any, address: Any) -> Any:
    """The address to connect `sock` to: of a host's name, the first that is found."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return address
    found = await loop._ensure_resolved(address, family=sock.family, type=sock.type, proto=sock.proto, loop=loop)
    return found[0][4]


def refuses_stop_iteration() -> bool:
    """Whether `Future.set_exception(StopIteration)` raises TypeError, as up to 3.12.1; later that is a RuntimeError."""
    return "RuntimeError" not in tasks.futures._PyFuture.set_exception.__code__.co_names


# -- What is an instance of what --------------------------------------------------------------------------------------


# -- asyncio's registry -----------------------------------------------------------------------------------------------


class _Registry(WeakSet):
    """asyncio's set of scheduled tasks, showing the native ones too: they are linked in a list of their own."""

    def __iter__(self):
        yield from super().__iter__()
        yield from _live_tasks()

    def __len__(self):
        return super().__len__() + len(_live_tasks())

    def __contains__(self, task):
        return super().__contains__(task) or any(t is task for t in _live_tasks())


def _live_tasks() -> list[Any]:
    # Another thread may look while the native module is still being made.
    found = getattr(sys.modules["fenshen._fenshen"], "live_tasks", None)
    return found() if found is not None else []


def _registries() -> list[Any]:
    found = [getattr(tasks, name, None) for name in ("_scheduled_tasks", "_all_tasks")]
    if sys.version_info >= (3, 14):
        # The set that C looks through has no name any more; only its module still refers to it.
        found += gc.get_referents(sys.modules["_asyncio"])
    return found


def _show_native_tasks() -> None:
    for registry in _registries():
        if type(registry) is WeakSet:
            registry.__class__ = _Registry


_show_native_tasks()


# -- Who awaits whom (3.14) -------------------------------------------------------------------------------------------


def awaited_by(future: Any) -> frozenset[Any] | None:
    """The tasks that wait for a future, `None` if there are none: what asyncio's call graphs are drawn from.

    asyncio keeps a set and changes it at every await. Here it is read off the done-callbacks when somebody asks.
    """
    found: set[Any] = set()
    for callback, _ in future._callbacks or ():
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, tasks.Task):
            found.add(owner)
        elif isinstance(owner, tasks.futures.Future):
            found |= owner._asyncio_awaited_by or set()
        else:
            found.add(_caller(callback, owner))
    return frozenset(found - {None}) or None


def _caller(callback: Any, owner: Any) -> Any:
    """The task on whose behalf asyncio's own TaskGroup, `wait`, `shield` or `gather` watches a future."""
    known = [getattr(owner, name, None) for name in ("_parent_task", "_cur_task")]
    code = getattr(callback, "__code__", None)
    if code is not None and "cur_task" in code.co_freevars:
        known.append(callback.__closure__[code.co_freevars.index("cur_task")].cell_contents)
    elif code is not None and "cur_task" in code.co_varnames:
        known += callback.__defaults__ or ()
    return next((task for task in known if isinstance(task, tasks.Task)), None)
