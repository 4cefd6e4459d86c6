"""Connected and listening stream sockets of an event loop: what is done once for each."""

from __future__ import annotations

from typing import Any

from fenshen._fenshen import Acceptor, SocketTransport

__all__ = ["Connections"]


class Connections:
    """The part of `fenshen.EventLoop` that makes stream sockets into transports."""

    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None, **_: Any
    ) -> SocketTransport:
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
