"""Connected and listening stream sockets of an event loop: what is done once for each."""

from __future__ import annotations

import socket
from typing import Any

from fenshen._fenshen import Acceptor, SocketTransport

__all__ = ["Connections", "is_plain"]


# What the native transports do without the socket object's own methods.
_DONE_NATIVELY = ("accept", "recv", "recv_into", "recvfrom", "send", "sendmsg", "sendto", "shutdown")


def is_plain(sock: Any) -> bool:
    """Whether a socket's methods are the standard library's, so that the native transports may work on its descriptor.

    Those of any other (a class that counts what it sends, a stand-in without a descriptor) are called by asyncio's own.
    """
    kind = type(sock)
    if kind is socket.socket:
        return True
    standard = issubclass(kind, socket.socket)
    return standard and all(getattr(kind, name) is getattr(socket.socket, name) for name in _DONE_NATIVELY)


class Connections:
    """The part of `fenshen.EventLoop` that makes stream sockets into transports."""

    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None, **_: Any
    ) -> Any:
        if not is_plain(sock):
            return super()._make_socket_transport(sock, protocol, waiter, extra=extra, server=server)
        self._ensure_fd_no_transport(sock)
        return SocketTransport(self, sock, protocol, waiter, extra, server)

    def _start_serving(
        self,
        protocol_factory: Any,
        sock: Any,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        *timeouts: Any,
        **options: Any,
    ) -> None:
        if not is_plain(sock):
            super()._start_serving(protocol_factory, sock, sslcontext, server, backlog, *timeouts, **options)
            return

        def accepted(conn: Any, address: Any) -> None:
            extra = {"peername": address}
            accept = self._accept_connection2(protocol_factory, conn, extra, sslcontext, server, *timeouts, **options)
            self.create_task(accept)

        elsewhere = accepted if sslcontext else None
        self._ensure_fd_no_transport(sock)
        self._acceptors[sock.fileno()] = Acceptor(self, sock, protocol_factory, server, backlog, elsewhere)

    def _stop_serving(self, sock: Any) -> None:
        acceptor = self._acceptors.pop(sock.fileno(), None)
        if acceptor is not None:
            acceptor.close()
        super()._stop_serving(sock)

    async def _sendfile_native(self, transp: Any, file: Any, offset: int, count: int | None) -> Any:
        if not isinstance(transp, SocketTransport):
            return await super()._sendfile_native(transp, file, offset, count)
        resume = transp.is_reading()
        transp.pause_reading()
        await transp._make_empty_waiter()
        transp._lend(True)
        try:
            return await self.sock_sendfile(transp._sock, file, offset, count, fallback=False)
        finally:
            transp._reset_empty_waiter()
            transp._lend(False)
            if resume:
                transp.resume_reading()
