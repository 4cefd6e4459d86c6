"""A process for each connection. The semaphore lies in memory that they share, and is an argument of each task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blocking import download
from by_threads import tell
from fenshen.futures import ProcessPoolExecutor
from fenshen.multiprocessing import BoundedSemaphore, get_context
from job import File


def download_all(url: str, files: list[File], folder: Path, connections: int, done: Callable[[int], None]) -> None:
    """Have all files in the folder; `done` is called with the attempts that each took. Raises the first error."""
    allowed = BoundedSemaphore(connections)
    with ProcessPoolExecutor(connections, mp_context=get_context("fork")) as pool:
        tell([pool.submit(download, url, file, folder, allowed) for file in files], done)
