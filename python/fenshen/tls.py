"""TLS: how a loop's connections get the native protocol between the socket and the application."""

from __future__ import annotations

import sys
from typing import Any

from fenshen._fenshen import SSLProtocol

try:
    import ssl
except ImportError:  # an interpreter that was built without it
    ssl = None  # type: ignore[assignment]

__all__ = ["TLS"]


def _limits(handshake: float | None, shutdown: float | None) -> dict[str, Any]:
    """The time limits by name; before Python 3.11 there is none for the shutdown."""
    limits: dict[str, Any] = {"ssl_handshake_timeout": handshake}
    if sys.version_info >= (3, 11):
        limits["ssl_shutdown_timeout"] = shutdown
    return limits


class TLS:
    """The part of an event loop that makes TLS connections."""

    def _make_ssl_transport(
        self,
        rawsock: Any,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: Any = None,
        server: Any = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        **_: Any,
    ) -> Any:
        loop: Any = self
        loop._ensure_fd_no_transport(rawsock)
        limits = _limits(ssl_handshake_timeout, ssl_shutdown_timeout)
        session = SSLProtocol(loop, protocol, sslcontext, waiter, server_side, server_hostname, **limits)
        loop._make_socket_transport(rawsock, session, extra=extra, server=server)
        return session._app_transport

    async def _start_tls(
        self,
        transport: Any,
        protocol: Any,
        sslcontext: Any,
        server_side: bool,
        server_hostname: str | None,
        limits: dict[str, Any],
    ) -> Any:
        if ssl is None:
            raise RuntimeError("Python ssl module is not available")
        if not isinstance(sslcontext, ssl.SSLContext):
            raise TypeError(f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}")
        if not getattr(transport, "_start_tls_compatible", False):
            raise TypeError(f"transport {transport!r} is not supported by start_tls()")
        loop: Any = self
        waiter = loop.create_future()
        session = SSLProtocol(
            loop, protocol, sslcontext, waiter, server_side, server_hostname, call_connection_made=False, **limits
        )
        # What arrives from here on is the session's, but not before it has begun.
        transport.pause_reading()
        transport.set_protocol(session)
        begin = loop.call_soon(session.connection_made, transport)
        resume = loop.call_soon(transport.resume_reading)
        try:
            await waiter
        except BaseException:
            transport.close()
            begin.cancel()
            resume.cancel()
            raise
        return session._app_transport

    if sys.version_info >= (3, 11):

        async def start_tls(
            self,
            transport: Any,
            protocol: Any,
            sslcontext: Any,
            *,
            server_side: bool = False,
            server_hostname: str | None = None,
            ssl_handshake_timeout: float | None = None,
            ssl_shutdown_timeout: float | None = None,
        ) -> Any:
            """Have a connection speak TLS from now on; return the transport that `protocol` is to use.

            The time limits are in seconds: 60 for the handshake and 30 for the shutdown, unless given. Raises TypeError
            if `sslcontext` is no `ssl.SSLContext` or the transport can't be upgraded, ValueError for a limit that is
            not positive, and what the handshake fails with (`ssl.SSLError`, ConnectionError).
            """
            limits = _limits(ssl_handshake_timeout, ssl_shutdown_timeout)
            return await self._start_tls(transport, protocol, sslcontext, server_side, server_hostname, limits)

    else:

        async def start_tls(
            self,
            transport: Any,
            protocol: Any,
            sslcontext: Any,
            *,
            server_side: bool = False,
            server_hostname: str | None = None,
            ssl_handshake_timeout: float | None = None,
        ) -> Any:
            """Have a connection speak TLS from now on; return the transport that `protocol` is to use.

            The time limit is in seconds: 60, unless given. Raises TypeError if `sslcontext` is no `ssl.SSLContext` or
            the transport can't be upgraded, ValueError for a limit that is not positive, and what the handshake fails
            with (`ssl.SSLError`, ConnectionError).
            """
            limits = _limits(ssl_handshake_timeout, None)
            return await self._start_tls(transport, protocol, sslcontext, server_side, server_hostname, limits)
