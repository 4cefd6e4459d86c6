"""What the tests of datagram sockets share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sockets import Loop

Main = Callable[[Loop], Awaitable[Any]]
Run = Callable[[Main], Any]
V4, V6 = ("127.0.0.1", 0), ("::1", 0)
each_family = pytest.mark.parametrize("address", [V4, V6], ids=["IPv4", "IPv6"])


class Log(asyncio.DatagramProtocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, Any]] = []
        self.events: list[Any] = []
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        assert type(data) is bytes
        self.got.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.events.append(type(exc).__name__)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set_result(exc)


class Echo(Log):
    """Answers."""

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def end(*logs: Log) -> None:
    for log in logs:
        log.transport.close()
        assert await log.over is None


async def pair(loop: Loop, answering: type[Log] = Echo, address: tuple[str, int] = V4) -> tuple[Log, Log]:
    """A server, and a client that is connected to it."""
    _, server = await loop.create_datagram_endpoint(answering, local_addr=address)
    _, client = await loop.create_datagram_endpoint(Log, remote_addr=server.transport.get_extra_info("sockname")[:2])
    return server, client
