"""The result of a pool's future, awaited."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


async def done(future: Any) -> None:
    """Wait until a future of a pool is done; cancelling that does nothing to it.

    asyncio's own way never tells of a StopIteration before Python 3.12, and there is nothing to copy here.
    """
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def tell(_: Any) -> None:
        if asyncio._get_running_loop() is loop:
            _set(waiter)
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                loop.call_soon_threadsafe(_set, waiter)

    future.add_done_callback(tell)
    await waiter


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
