"""A thread for each connection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from blocking import download
from fenshen.futures import ThreadPoolExecutor, as_completed
from job import File


def download_all(url: str, files: list[File], folder: Path, connections: int, done: Callable[[int], None]) -> None:
    """Have all files in the folder; `done` is called with the attempts that each took. Raises the first error."""
    allowed = threading.BoundedSemaphore(connections)
    with ThreadPoolExecutor(connections) as pool:
        tell([pool.submit(download, url, file, folder, allowed) for file in files], done)


def tell(futures: list[Future[int]], done: Callable[[int], None]) -> None:
    """Pass on each result as it comes. After an error, what has not begun does not begin."""
    try:
        for future in as_completed(futures):
            done(future.result())
    finally:
        for future in futures:
            future.cancel()
