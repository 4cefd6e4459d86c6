"""A protocol that notes what it is told, and the ways of the tests of transports."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from sockets import Loop


class Noting(asyncio.Protocol):
    """Notes what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.over = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        if self.told and isinstance(self.told[-1], bytes):
            self.told[-1] += data
        else:
            self.told.append(data)

    def eof_received(self) -> bool | None:
        self.told.append("eof")
        return None

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.told.append("lost" if exc is None else type(exc).__name__)
        if not self.over.done():
            self.over.set_result(None)


async def connect(loop: Loop, sock: socket.socket, make: Any = Noting) -> tuple[Any, Any]:
    return await loop.connect_accepted_socket(make, sock)


async def receive(loop: Loop, sock: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = await loop.sock_recv(sock, 1 << 20)
        if not more:
            break
        got += more
    return got
