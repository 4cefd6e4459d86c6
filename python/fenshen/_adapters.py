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
