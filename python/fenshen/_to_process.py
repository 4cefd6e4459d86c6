"""`to_process`: a call in another process, awaited."""

from __future__ import annotations

import asyncio
import functools
import os
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar

    from fenshen.futures import ProcessPoolExecutor

    P = ParamSpec("P")
    T = TypeVar("T")

_lock = threading.Lock()
_pool: dict[int, ProcessPoolExecutor] = {}

_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, which costs the import of inspect


def is_coroutine_function(function: Any) -> bool:
    """Whether calling it makes a coroutine: an `async def`, a partial of one, or an object whose `__call__` is one."""
    code = getattr(function, "__code__", None)
    if code is not None:
        return bool(code.co_flags & _CO_COROUTINE)
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def pool() -> ProcessPoolExecutor:
    """The pool that this process's calls run in, made at the first one: its workers come from a fork server."""
    found = _pool.get(os.getpid())
    if found is None:
        from multiprocessing import get_context

        from fenshen.futures import ProcessPoolExecutor

        with _lock:
            found = _pool.get(os.getpid())
            if found is None:
                found = ProcessPoolExecutor(mp_context=get_context("forkserver"))
                _pool.clear()  # a parent's are of no use here
                _pool[os.getpid()] = found
    return found


async def to_process(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """`func(*args, **kwargs)`, called in another process; what it returns or raises.

    Beside `asyncio.to_thread`, for what needs a CPU of its own. There is one pool for the whole program, with a worker
    for each CPU that it may use. Cancelling the awaiting task ends the call. Raises WorkerDied (of `fenshen.futures`)
    if the process dies, and what pickling raises if something cannot be sent.

    A coroutine function runs on a loop in the worker, beside up to 4,095 others. Cancelling the awaiting task cancels
    the coroutine there, and the wait ends when that has: with CancelledError, unless it returned or raised something
    else. Context variables travel along, as far as their values can be pickled.
    """
    if is_coroutine_function(func):
        return await _to_loop(func, args, kwargs)  # type: ignore[no-any-return]
    loop = asyncio.get_running_loop()
    executor = pool()
    supervisor = getattr(executor, "_supervisor", None)  # the standard library's has none
    if supervisor is not None and supervisor.thread is None:
        from fenshen import _starting

        await _starting.started(supervisor, executor._start)
    call: Any = functools.partial(func, *args, **kwargs) if kwargs else func
    return await loop.run_in_executor(executor, call, *(() if kwargs else args))


async def _to_loop(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from fenshen import _process_tasks

    crew = _process_tasks.own_crew()
    return await _process_tasks.awaited(crew.submit(function, args, kwargs), crew)
