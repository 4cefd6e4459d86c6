"""A loop's way of making transports of pipes and datagram sockets."""

from __future__ import annotations

from typing import Any

from fenshen._fenshen import DatagramTransport, ReadPipeTransport, WritePipeTransport
from fenshen.connections import is_plain

__all__ = ["Pipes"]


class Pipes:
    """What asyncio's `connect_read_pipe`, `connect_write_pipe` and `create_datagram_endpoint` call."""

    _ensure_fd_no_transport: Any

    def _make_read_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> ReadPipeTransport:
        return ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> WritePipeTransport:
        return WritePipeTransport(self, pipe, protocol, waiter, extra)

    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        if not is_plain(sock):
            return super()._make_datagram_transport(sock, protocol, address, waiter, extra)
        self._ensure_fd_no_transport(sock)
        return DatagramTransport(self, sock, protocol, address, waiter, extra)
