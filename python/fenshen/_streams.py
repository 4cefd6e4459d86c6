"""What the native streams ask of Python: what happens once a connection or less often, and is not on its data's way."""

from __future__ import annotations

import sys
import warnings
from asyncio.log import logger
from typing import Any


def log_writing(protocol: Any, pauses: bool) -> None:
    """Debug mode: the transport has stopped taking data, or takes it again."""
    logger.debug("%r pauses writing" if pauses else "%r resumes writing", protocol)


def warn_unclosed(writer: Any) -> None:
    """A writer was let go of without having been closed."""
    warnings.warn(f"unclosed {writer!r}", ResourceWarning, stacklevel=1)


def handler_failed(loop: Any, transport: Any, exception: BaseException) -> None:
    """What handles a server's connection raised: the loop's exception handler hears of it, the connection ends."""
    loop.call_exception_handler(
        {"message": "Unhandled exception in client_connected_cb", "exception": exception, "transport": transport}
    )
    transport.close()


def watch_handler(loop: Any, transport: Any, task: Any) -> None:
    """Has a connection end with the task that handles it, where that fails or is cancelled."""

    def ended(task: Any) -> None:
        if task.cancelled():
            transport.close()
        elif (exception := task.exception()) is not None:
            handler_failed(loop, transport, exception)

    task.add_done_callback(ended)


if sys.version_info >= (3, 12):

    async def start_tls(
        self: Any,
        sslcontext: Any,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        """Go on over TLS, once what was written is sent.

        sslcontext: the ssl.SSLContext. server_hostname: of a client, the name that the certificate is checked for.
        ssl_handshake_timeout, ssl_shutdown_timeout: in seconds; by default 60 and 30.
        """
        await _start_tls(
            self,
            sslcontext,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

else:

    async def start_tls(
        self: Any,
        sslcontext: Any,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
    ) -> None:
        """Go on over TLS, once what was written is sent.

        sslcontext: the ssl.SSLContext. server_hostname: of a client, the name that the certificate is checked for.
        ssl_handshake_timeout: in seconds; by default 60.
        """
        await _start_tls(self, sslcontext, server_hostname=server_hostname, ssl_handshake_timeout=ssl_handshake_timeout)


start_tls.__qualname__ = "StreamWriter.start_tls"


async def _start_tls(writer: Any, sslcontext: Any, **options: Any) -> None:
    protocol = writer._protocol
    server_side = protocol._client_connected_cb is not None
    await writer.drain()
    transport = await writer._loop.start_tls(
        writer._transport, protocol, sslcontext, server_side=server_side, **options
    )
    writer._transport = transport
    replace = getattr(protocol, "_replace_transport", None)
    if replace is not None:
        replace(transport)
    else:
        protocol._replace_writer(writer)
