"""The ends of a queue, for those who poll them, and how the pipe that they poll reaches another process."""

from __future__ import annotations

import io
import os
from multiprocessing import context

from fenshen import _segments
from fenshen.multiprocessing.connection import StandardConnection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _End(StandardConnection):
    """One end of a queue, seen as a connection. What is closed, the queue knows: ends are equal, not the same."""

    def __init__(self, queue: Any):
        self._queue = queue

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._queue is other._queue  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), id(self._queue)))

    def __del__(self) -> None:
        pass

    @property
    def _handle(self) -> int | None:  # type: ignore[override]
        return None if self.closed else self._queue._sign

    def fileno(self) -> int:
        """The descriptor that is readable while there is something; OSError if this end is closed."""
        self._check_closed()
        return self._queue._pollable()

    def _poll(self, timeout: float | None) -> bool:
        return self._queue._wait(timeout)


class Reader(_End):
    """Where things are taken."""

    _readable, _writable = True, False

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._queue._get_closed

    def close(self) -> None:
        """Take nothing more through this object's queue."""
        self._queue._close_get()

    def _recv_bytes(self, maxsize: int | None = None) -> io.BytesIO | None:
        message = self._queue._recv_bytes()
        if maxsize is not None and len(message) > maxsize:
            return None
        # Whoever asks for the size of what was received asks where the writing has come to.
        received = io.BytesIO(message)
        received.seek(0, os.SEEK_END)
        return received

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._queue, "_reader")


class Writer(_End):
    """Where things are put."""

    _readable, _writable = False, True

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._queue._put_closed

    def close(self) -> None:
        """Put nothing more through this object's queue."""
        self._queue._close_put()

    def send(self, obj: Any) -> None:
        """Put an object."""
        self._check_closed()
        self._queue.put(obj)

    def _send_bytes(self, buf: Any) -> None:
        self._queue._send_bytes(buf)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._queue, "_writer")


class NoLock:
    """Stands where the standard library's queues have a lock, which ours need not be guarded by."""

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Return True."""
        return True

    def release(self) -> None:
        """Do nothing."""

    __enter__ = acquire

    def __exit__(self, *exc_info: object) -> None:
        pass


def reduce_sign(queue: Any) -> Any:
    """What `open_sign` makes the descriptor of, in the process that the queue is pickled for."""
    fd = queue._sign
    popen = context.get_spawning_popen()
    if _segments.is_carried():
        _segments.pin(queue)
        stat = os.fstat(fd)
        return stat.st_dev, stat.st_ino, os.getpid(), fd
    return _segments.duplicate(popen, fd)


def open_sign(sign: Any) -> int:
    """A new descriptor, the caller's; RuntimeError if the process that sent it has ended."""
    if not isinstance(sign, tuple):
        return sign.detach()
    device, inode, pid, number = sign
    try:
        fd = os.open(f"/proc/{pid}/fd/{number}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        raise RuntimeError(f"the queue is gone: process {pid}, which sent it, has ended") from e
    stat = os.fstat(fd)
    if (stat.st_dev, stat.st_ino) != (device, inode):
        os.close(fd)
        raise RuntimeError(f"the queue is gone: process {pid}, which sent it, has ended")
    return fd
