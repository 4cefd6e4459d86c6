"""Replacements that are made from the standard object they stand for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fenshen._engine import say


def eager_task_factory(original: Any) -> Any:
    """`asyncio.eager_task_factory` for our tasks: it starts them at once, as the standard one does."""
    from fenshen import _fenshen

    return asyncio.create_eager_task_factory(_fenshen.Task)  # type: ignore[attr-defined,unused-ignore]


def set_running_loop(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """`asyncio._set_running_loop`, which every loop calls as it starts: a program that picks a loop keeps it, and
    hears about it once.
    """
    from fenshen import loop as ours

    def _set_running_loop(loop: Any) -> None:
        if loop is not None and not isinstance(loop, ours.EventLoop):
            kind = type(loop)
            say(
                f"this program picks its own event loop, {kind.__module__}.{kind.__qualname__}, and keeps it; "
                "fenshen's loop is not in use",
                once=True,
            )
        return original(loop)

    return _set_running_loop


def uvicorn_loop_factory(original: Any) -> Any:
    """What uvicorn's `--loop auto` and `--loop asyncio` stand for: a loop that nobody picked is asyncio's default one,
    which is ours unless the program has a policy of its own.
    """

    def loop_factory(use_subprocess: bool = False) -> Callable[[], asyncio.AbstractEventLoop]:
        return asyncio.new_event_loop

    return loop_factory


def uvicorn_loop_setup(original: Any) -> Any:
    """The same for uvicorn before 0.36, where these set a policy."""

    def setup_loop(use_subprocess: bool = False) -> None:
        pass

    return setup_loop


def shared_barrier(original: Any) -> Any:
    """`multiprocessing.Barrier` keeps what `threading.Barrier` looks at in shared memory. Where ours stood under that
    name when it was defined, it is made again on the standard one.
    """
    import threading

    from fenshen import installing

    standard = installing.standard(threading, "Barrier")
    if original.__bases__ == (standard,):
        return original
    own = {name: value for name, value in vars(original).items() if name not in ("__dict__", "__weakref__")}
    return type(original.__name__, (standard,), own)
