"""What the native transports ask of Python: sockets as objects, and whatever happens once in a blue moon."""

from __future__ import annotations

import socket
import sys
import warnings
from asyncio import constants, selector_events, trsock
from asyncio.log import logger
from typing import Any

# -- Sockets ----------------------------------------------------------------------------------------------------------


def socket_of(fd: int) -> socket.socket:
    """The socket object that owns a descriptor from now on; of -1, one that is closed."""
    if fd < 0:
        closed = socket.socket()
        closed.close()
        return closed
    made = socket.socket(fileno=fd)
    made.setblocking(False)
    return made


def ensure_fd_no_transport(loop: Any, fd: Any) -> None:
    """Raise RuntimeError if a transport of asyncio's own, which an unusual socket has, uses a descriptor."""
    if loop._transports:
        selector_events.BaseSelectorEventLoop._ensure_fd_no_transport(loop, fd)


transport_socket = trsock.TransportSocket


def native_sendfile() -> Any:
    """What `loop.sendfile` is to make of a socket's transport."""
    return constants._SendfileMode.TRY_NATIVE


def set_result_unless_cancelled(future: Any) -> None:
    """End a future that nobody has cancelled with `None`."""
    if not future.cancelled():
        future.set_result(None)


def set_exception_unless_done(future: Any, exception: BaseException) -> None:
    """End a future that nobody has ended or cancelled with an exception."""
    if not future.done():
        future.set_exception(exception)


# -- What went wrong --------------------------------------------------------------------------------------------------


# From 3.13 on, only in debug mode.
_ARGUMENTS_SHOWN = sys.version_info < (3, 13)


def transport_failed(loop: Any, transport: Any, protocol: Any, message: str, exception: BaseException) -> None:
    """Tell the loop's exception handler that a protocol's method raised."""
    context = {"message": message, "exception": exception, "transport": transport, "protocol": protocol}
    loop.call_exception_handler(context)


def transport_error_logged(transport: Any, message: str, exception: BaseException) -> None:
    """Debug mode: log the failure of a connection."""
    logger.debug("%r: %s", transport, message, exc_info=exception)


def connection_lost_failed(loop: Any, transport: Any, reason: Any, exception: BaseException) -> None:
    """Tell the loop's exception handler that `connection_lost` raised."""
    shown = repr(reason) if _ARGUMENTS_SHOWN or loop.get_debug() else ""
    message = f"Exception in callback {type(transport).__name__}._call_connection_lost({shown})"
    loop.call_exception_handler({"message": message, "exception": exception, "transport": transport})


def unclosed_transport(transport: Any) -> None:
    """Warn of a transport that nobody closed."""
    warnings.warn(f"unclosed transport {transport!r}", ResourceWarning, source=transport, stacklevel=2)


def warn_lost_write() -> None:
    """Log that a program goes on writing to a connection that is lost."""
    logger.warning("socket.send() raised exception.")


# -- Pipes ------------------------------------------------------------------------------------------------------------


def warn_lost_pipe_write() -> None:
    """Log that a program goes on writing to a pipe that is lost."""
    logger.warning("pipe closed by peer or os.write(pipe, data) raised exception.")


def closed_by_peer(transport: Any) -> None:
    """Debug mode: log that the other end of a pipe is closed."""
    logger.info("%r was closed by peer", transport)


def pauses_reading(transport: Any) -> None:
    """Debug mode: log that a pipe is not read for a while."""
    logger.debug("%r pauses reading", transport)


def resumes_reading(transport: Any) -> None:
    """Debug mode: log that it is read again."""
    logger.debug("%r resumes reading", transport)


# -- Accepting --------------------------------------------------------------------------------------------------------


def accepting_failed(loop: Any, exception: BaseException) -> None:
    """Debug mode: tell the loop's exception handler that a connection could not be begun."""
    message = "Error on transport creation for incoming connection"
    loop.call_exception_handler({"message": message, "exception": exception})


def accepting_paused(loop: Any, acceptor: Any, sock: socket.socket, exception: OSError) -> None:
    """The process or the system has no descriptor left: try again in a second."""
    message = "socket.accept() out of system resource"
    context = {"message": message, "exception": exception, "socket": trsock.TransportSocket(sock)}
    loop.call_exception_handler(context)
    loop.call_later(constants.ACCEPT_RETRY_DELAY, acceptor.resume)


def accepting_refused(loop: Any, acceptor: Any, exception: OSError) -> None:
    """Tell the loop's exception handler that a listening socket is broken."""
    message = f"Exception in callback {type(acceptor).__name__}.accept()"
    loop.call_exception_handler({"message": message, "exception": exception})
