"""A task for each file, all in one thread. What has arrived is checked in processes, one for each CPU."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import fenshen
from by_tasks import every
from fenshen.futures import ProcessPoolExecutor
from fenshen.multiprocessing import get_context
from job import File, check


def download_all(url: str, files: list[File], folder: Path, connections: int, done: Callable[[int], None]) -> None:
    """Have all files in the folder; `done` is called with the attempts that each took. Raises the first error."""
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:

        async def checked(part: Path, file: File) -> None:
            await asyncio.get_running_loop().run_in_executor(pool, check, part, file)

        fenshen.run(every(url, files, folder, connections, done, checked))
