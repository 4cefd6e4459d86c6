"""`to_process`: a call in another process, awaited."""

from __future__ import annotations

import asyncio
import functools
import os
import threading

from fenshen import _process_tasks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar

    from fenshen.futures import ProcessPoolExecutor

    P = ParamSpec("P")
    T = TypeVar("T")

_lock = threading.Lock()
_pool: dict[int, ProcessPoolExecutor] = {}


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
    if _process_tasks.is_coroutine_function(func):
        crew = _process_tasks.own_crew()
        if crew.supervisor.thread is None:
            await _beside(crew.begin)
        return await _process_tasks.awaited(crew.submit(func, args, kwargs), crew)  # type: ignore[no-any-return]
    loop = asyncio.get_running_loop()
    call: Any = functools.partial(func, *args, **kwargs) if kwargs else func
    workers = pool()
    if workers._supervisor.thread is None:
        await _beside(workers._begin)
    return await loop.run_in_executor(workers, call, *(() if kwargs else args))


async def _beside(begin: Callable[[], None]) -> None:
    # A fork server takes a tenth of a second to start, which nobody else on the loop is to wait for.
    await asyncio.get_running_loop().run_in_executor(None, begin)
