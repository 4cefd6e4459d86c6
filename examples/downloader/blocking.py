"""Downloading in the calling thread: what threads and processes do."""

from __future__ import annotations

import http.client
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from job import PASSING, File, Refused, check, keep, part_of, pauses

BLOCK = 1 << 18
# Each thread keeps its connection for the next file.
_own = threading.local()


def connection(url: str) -> http.client.HTTPConnection:
    """This thread's connection to the server."""
    if getattr(_own, "url", None) != url:
        _own.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        _own.url = url
    return _own.connection


def fetch(url: str, file: File, part: Path) -> None:
    """One attempt to have the file in `part`. Raises Refused, EOFError if it is too short, and what sockets raise."""
    server = connection(url)
    try:
        server.request("GET", file.path)
        answer = server.getresponse()
        if answer.status != 200:
            answer.read()
            raise Refused(f"{file.path}: {answer.status} {answer.reason}")
        with open(part, "wb", buffering=0) as out:
            while block := answer.read(BLOCK):
                out.write(block)
            if out.tell() != file.size:
                raise EOFError(f"{file.path} ended after {out.tell()} of {file.size} bytes")
    except (OSError, http.client.HTTPException) as e:
        server.close()
        raise e if isinstance(e, OSError) else EOFError(str(e)) from e


def download(url: str, file: File, folder: Path, connections: Any) -> int:
    """Have a file in the folder; how many attempts it took. `connections` is the semaphore that bounds them."""
    part = part_of(file, folder)
    waits = pauses()
    attempts = 0
    while True:
        attempts += 1
        try:
            with connections:
                fetch(url, file, part)
            check(part, file)
        except PASSING:
            pause = next(waits, None)
            if pause is None:
                raise
            time.sleep(pause)
        else:
            keep(file, folder)
            return attempts
