"""Waiting for an end that must come, whoever cancels that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def persistently(join: Callable[[], Awaitable[None]]) -> None:
    """Await `join()`, and again when that was cancelled: at its end, a loop cancels all tasks, this one too."""
    while True:
        try:
            return await join()
        except asyncio.CancelledError:
            continue
