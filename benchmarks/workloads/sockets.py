"""Sockets without transports: an echo server of sock_recv and sock_sendall.

The loop under test serves on one core; the load comes from `floor/echo.rs` on another: 10 connections, each sends 1 KiB
and waits for it to come back. The floor is the same load against the same program's own server.
"""

import asyncio
import contextlib
import socket

from . import Target, Workload


async def serve(listener: socket.socket) -> None:
    """Echo whatever comes on every connection, until cancelled."""
    loop = asyncio.get_running_loop()
    tasks = set()

    async def echo(connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            while message := await loop.sock_recv(connection, 4096):
                await loop.sock_sendall(connection, message)

    while True:
        connection, _ = await loop.sock_accept(listener)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tasks.add(loop.create_task(echo(connection)))


WORKLOADS = [
    Workload("sock_echo", "sock_recv / sock_sendall echo, 1 KiB", 1, Target(0.55, "floor"), kind="echo"),
]
