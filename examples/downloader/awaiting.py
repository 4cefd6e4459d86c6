"""Downloading in a task: what tasks alone, and tasks with processes for the checks, do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from job import PASSING, File, Refused, keep, part_of, pauses

BLOCK = 1 << 18
Check = Callable[[Path, File], Awaitable[None]]


class Server:
    """The connections to a server: at most so many at once, and each is used again."""

    def __init__(self, url: str, connections: int) -> None:
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port
        self.connections = asyncio.Semaphore(connections)
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def fetch(self, file: File, part: Path) -> None:
        """One attempt to have the file in `part`. Raises Refused, EOFError if it is short, and what sockets raise."""
        async with self.connections:
            reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection(self.host, self.port)
            try:
                writer.write(f"GET {file.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n\r\n".encode())
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                await receive(reader, int(headers["content-length"]), None if " 200 " not in head[0] else part)
            except BaseException:
                writer.close()
                raise
            self.idle.append((reader, writer))
        if " 200 " not in head[0]:
            raise Refused(f"{file.path}: {head[0]}")

    def close(self) -> None:
        for _, writer in self.idle:
            writer.close()


async def receive(reader: asyncio.StreamReader, size: int, part: Path | None) -> None:
    """Read a body, into a file if there is one: writing to it only fills the kernel's memory, and does not block."""
    with open(part or "/dev/null", "wb", buffering=0) as out:
        while size:
            block = await reader.read(min(size, BLOCK))
            if not block:
                raise EOFError(f"the connection ended {size} bytes early")
            out.write(block)
            size -= len(block)


async def download(server: Server, file: File, folder: Path, check: Check) -> int:
    """Have a file in the folder; how many attempts it took."""
    part = part_of(file, folder)
    waits = pauses()
    attempts = 0
    while True:
        attempts += 1
        try:
            await asyncio.wait_for(server.fetch(file, part), 60)
            await check(part, file)
        except (*PASSING, asyncio.TimeoutError):
            pause = next(waits, None)
            if pause is None:
                raise
            await asyncio.sleep(pause)
        else:
            keep(file, folder)
            return attempts
