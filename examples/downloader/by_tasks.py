"""A task for each file, all in one thread. What has arrived is checked in other threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import fenshen
from awaiting import Check, Server, download
from job import File, check


def download_all(url: str, files: list[File], folder: Path, connections: int, done: Callable[[int], None]) -> None:
    """Have all files in the folder; `done` is called with the attempts that each took. Raises the first error."""
    fenshen.run(every(url, files, folder, connections, done, lambda *args: asyncio.to_thread(check, *args)))


async def every(
    url: str, files: list[File], folder: Path, connections: int, done: Callable[[int], None], check: Check
) -> None:
    """All of it, as tasks. After an error, what still runs is cancelled at the loop's end."""
    server = Server(url, connections)

    async def one(file: File) -> None:
        done(await download(server, file, folder, check))

    try:
        await asyncio.gather(*map(one, files))
    finally:
        server.close()
