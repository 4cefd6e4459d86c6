"""`multiprocessing.shared_memory`, whose blocks live as long as somebody uses them.

Names, sizes and memory are the standard library's, and its processes may attach to ours and ours to theirs. What
differs is the end of a block that nobody unlinks: a tracked one goes when the process that made it and every process
attached to it have ended, and never earlier; an attached process that ends takes nothing with it.
"""

from __future__ import annotations

import _posixshmem
import errno
import fcntl
import functools
import mmap
import os
import types
from multiprocessing import shared_memory as _standard

from fenshen import _keeper, _keeping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ShareableList", "SharedMemory"]


class SharedMemory(_standard.SharedMemory):
    """SharedMemory(name=None, create=False, size=0, *, track=True)

    A block of memory that processes know by its name: a new one of `size` bytes with `create=True`, and otherwise the
    one that has the name.

    A block lives until `unlink()`. One that was created with `track=True` goes by itself when its creator and every
    process attached to it have ended. Attaching with `track=False` or `track=True` is the same: it never removes a
    block that others use.

    Raises ValueError for a size that is not positive, or where neither a name nor `create` is given; FileExistsError
    and FileNotFoundError by the name; OSError for what else the system refuses.
    """

    _track = True

    def __init__(self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool = True) -> None:
        if not size >= 0:
            raise ValueError("'size' must be a positive integer")
        if create:
            self._flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
            if size == 0:
                raise ValueError("'size' must be a positive number different from zero")
        if name is None and not self._flags & os.O_EXCL:
            raise ValueError("'name' can only be None if create=True")
        self._track = track
        self._open(name)
        try:
            self._map(size if create else 0)
            if create and track:
                _keeping.tell("+", self.name, os.fstat(self._fd).st_ino)
        except BaseException:
            if create:
                self.unlink()
            self.close()
            raise

    def _open(self, name: str | None) -> None:
        if name is not None:
            self._name = "/" + name if self._prepend_leading_slash else name
            self._fd = _posixshmem.shm_open(self._name, self._flags, mode=self._mode)
            return
        while self._fd < 0:
            self._name = _standard._make_filename()  # type: ignore[attr-defined]
            try:
                self._fd = _posixshmem.shm_open(self._name, self._flags, mode=self._mode)
            except FileExistsError:
                continue

    def _map(self, size: int) -> None:
        """Map what is open, after it has got its size where it is new."""
        # Held until the last copy of this open file is closed, in forked children too, and seen by those who remove.
        _keeper.lock(self._fd, fcntl.F_RDLCK, fcntl.F_OFD_SETLKW)
        if size:
            os.ftruncate(self._fd, size)
        status = os.fstat(self._fd)
        if not status.st_nlink:
            # It was removed between the opening and the locking.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._name)
        self._mmap = mmap.mmap(self._fd, status.st_size)
        self._size = status.st_size
        self._buf = memoryview(self._mmap)

    def unlink(self) -> None:
        """Remove the block's name: nobody can attach to it any longer, and it goes when the last process lets go.

        Raises FileNotFoundError if there is no block of that name.
        """
        if self._name:
            _posixshmem.shm_unlink(self._name)
            _keeping.forget(self.name)


def _over(function: types.FunctionType, names: dict[str, Any]) -> types.FunctionType:
    """The same function, which finds other things under some names."""
    made = types.FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)
    made.__defaults__, made.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    made.__doc__, made.__qualname__ = function.__doc__, function.__qualname__
    return made


class ShareableList(_standard.ShareableList):  # type: ignore[type-arg]
    """ShareableList(sequence=None, *, name=None)

    A list of fixed length in a `SharedMemory`: of int, float, bool, str, bytes and None, each of which keeps the room
    it had at first. With `name`, and no sequence, the one that lies in that block.

    Raises ValueError where a new value does not fit, and FileNotFoundError if there is no such block.
    """

    __init__ = _over(_standard.ShareableList.__init__, {"SharedMemory": SharedMemory})  # type: ignore[assignment]


# Fills a ShareableList whose block somebody else looks after.
make_untracked = _over(_standard.ShareableList.__init__, {"SharedMemory": functools.partial(SharedMemory, track=False)})
