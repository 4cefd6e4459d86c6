"""An aiohttp server as its documentation has it: `web.run_app`, with what is to be started and cleaned up around it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import fenshen
from aiohttp import web


def tell(event: str) -> None:
    """One line in `events.txt` of the current folder."""
    with Path("events.txt").open("a") as file:
        file.write(event + "\n")


async def loop(request: web.Request) -> web.Response:
    running = asyncio.get_running_loop()
    return web.Response(text="fenshen" if isinstance(running, fenshen.EventLoop) else type(running).__module__)


async def slow(request: web.Request) -> web.Response:
    tell("slow began")
    await asyncio.sleep(1.5)
    return web.Response(text="done")


async def ticking() -> None:
    try:
        while True:
            await asyncio.sleep(0.01)
    finally:
        tell("ticking ended")


async def around(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(ticking())
    yield
    task.cancel()
    await asyncio.wait([task])
    tell("cleaned up")


app = web.Application()
app.router.add_get("/loop", loop)
app.router.add_get("/slow", slow)
app.cleanup_ctx.append(around)

if __name__ == "__main__":
    own = fenshen.new_event_loop() if "own" in sys.argv else None
    web.run_app(app, host="127.0.0.1", port=0, loop=own)
