"""The connections of `multiprocessing`: `from fenshen.multiprocessing.connection import Pipe`.

`Connection` derives from the standard library's, speaks its format, and does in one native call what that does in ten.
`Listener`, `Client` and `wait` are the standard library's; what they return is ours under `fenshen.install()`.
"""

from __future__ import annotations

import multiprocessing.connection as _standard
import os
import socket
from multiprocessing import reduction
from multiprocessing.connection import *  # noqa: F403
from multiprocessing.connection import BufferTooShort as BufferTooShort

from fenshen import _pins, _processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [*_standard.__all__, "Connection"]


#: The standard library's, under whose name ours may stand.
StandardConnection = _standard.Connection


class Connection(_processes.Connection, StandardConnection):
    """A connection over a descriptor, which it closes; see `multiprocessing.connection.Connection`."""

    __slots__ = ()

    def _close(self) -> None:
        self.close()

    def _pinned(self, pins: list[Any]) -> None:
        _pins.keep(self, _is_read, None, pins)


def _is_read(connection: Connection, _: None) -> bool:
    return connection.closed or connection._unread() == 0


def _reduce(connection: Connection) -> tuple[Any, ...]:
    fd = reduction.DupFd(connection.fileno())
    return _rebuild, (fd, connection.readable, connection.writable, connection._local)


def _rebuild(fd: Any, readable: bool, writable: bool, local: bool) -> Connection:
    connection = Connection(fd.detach(), readable, writable)
    connection._local = local
    return connection


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:
    """Return two connected ends; both send and receive, or, without `duplex`, the first only receives."""
    if duplex:
        ends = socket.socketpair()
        for end in ends:
            end.setblocking(True)  # whatever socket.setdefaulttimeout() says
        one, other = (Connection(end.detach()) for end in ends)
    else:
        reader, writer = os.pipe()
        one, other = Connection(reader, writable=False), Connection(writer, readable=False)
    one._local = other._local = True
    return one, other


def __getattr__(name: str) -> Any:
    return getattr(_standard, name)


reduction.register(Connection, _reduce)
