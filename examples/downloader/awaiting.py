"""Downloading in a task: what tasks alone, and tasks with processes for the checks, do."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from job import BLOCK, PASSING, File, Refused, keep, part_of, pauses

Check = Callable[[Path, File], Awaitable[None]]


class Connection:
    """A connection to a server, and memory for what arrives on it."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url).hostname, urlsplit(url).port
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.is_open = False
        self.arrived = bytearray(BLOCK)
        self.block = memoryview(self.arrived)

    async def read(self, offset: int = 0, size: int = BLOCK) -> int:
        """Fill the block from `offset` on, with at most `size` bytes; how many have come. Raises EOFError."""
        got = await asyncio.get_running_loop().sock_recv_into(self.socket, self.block[offset : offset + size])
        if not got:
            raise EOFError("the connection ended early")
        return got

    async def ask(self, path: str) -> tuple[str, dict[str, str], memoryview]:
        """Ask for a file: the answer's first line, its headers by their names in lower case, what has come of it."""
        loop = asyncio.get_running_loop()
        if not self.is_open:
            await loop.sock_connect(self.socket, self.address)
            self.is_open = True
        request = f"GET {path} HTTP/1.1\r\nHost: {self.address[0]}:{self.address[1]}\r\n\r\n"
        await loop.sock_sendall(self.socket, request.encode())
        held = await self.read()
        while (end := self.arrived.find(b"\r\n\r\n", 0, held)) < 0:
            held += await self.read(held)
        first, *rest = str(self.block[:end], "latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        return first, headers, self.block[end + 4 : held]

    async def receive(self, size: int, begun: memoryview, out: BinaryIO) -> None:
        """Write a body of `size` bytes: that only fills the kernel's memory, and does not block."""
        out.write(begun)
        left = size - len(begun)
        while left:
            got = await self.read(0, left)
            out.write(self.block[:got])
            left -= got


class Server:
    """The connections to a server: at most so many at once, and each is used again."""

    def __init__(self, url: str, connections: int) -> None:
        self.url = url
        self.connections = asyncio.Semaphore(connections)
        self.idle: list[Connection] = []

    async def fetch(self, file: File, part: Path) -> None:
        """One attempt to have the file in `part`. Raises Refused, EOFError if it is short, and what sockets raise."""
        async with self.connections:
            connection = self.idle.pop() if self.idle else Connection(self.url)
            try:
                said, headers, begun = await connection.ask(file.path)
                good = " 200 " in said
                with open(part if good else os.devnull, "wb", buffering=0) as out:
                    await connection.receive(int(headers["content-length"]), begun, out)
            except BaseException:
                connection.socket.close()
                raise
            self.idle.append(connection)
        if not good:
            raise Refused(f"{file.path}: {said}")

    def close(self) -> None:
        for connection in self.idle:
            connection.socket.close()


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
