"""Downloading in the calling thread: what threads and processes do."""

from __future__ import annotations

import hashlib
import http.client
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from job import BLOCK, PASSING, File, Refused, compare, keep, part_of, pauses


class Own(threading.local):
    """What each thread keeps for the next file: its connection, and memory for what arrives."""

    url = ""
    connection: http.client.HTTPConnection

    def __init__(self) -> None:
        self.block = memoryview(bytearray(BLOCK))

    def connect(self, url: str) -> http.client.HTTPConnection:
        """The connection to a server."""
        if self.url != url:
            self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
            self.url = url
        return self.connection


own = Own()


def fetch(url: str, file: File, part: Path) -> None:
    """One attempt to have the file in `part`. Raises Refused, EOFError, Damaged, and what sockets raise."""
    server = own.connect(url)
    try:
        server.request("GET", file.path)
        answer = server.getresponse()
        if answer.status != 200:
            answer.read()
            raise Refused(f"{file.path}: {answer.status} {answer.reason}")
        digest = hashlib.sha256()
        with open(part, "wb", buffering=0) as out:
            while size := answer.readinto(own.block):
                out.write(own.block[:size])
                digest.update(own.block[:size])
            if out.tell() != file.size:
                raise EOFError(f"{file.path} ended after {out.tell()} of {file.size} bytes")
        compare(digest, file)
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
        except PASSING:
            pause = next(waits, None)
            if pause is None:
                raise
            time.sleep(pause)
        else:
            keep(file, folder)
            return attempts
