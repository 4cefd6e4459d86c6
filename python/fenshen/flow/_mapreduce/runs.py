"""Where what workers send on lies until it is reduced: in shared memory, and past a limit on disk.

Neither has a name, so whatever happens to the program, nothing is left of them. A file is lent to one lot at a time,
which writes behind its end; only when the lot is done, the program takes note of what was written. What a worker that
died has written is written over.
"""

from __future__ import annotations

import os
import tempfile
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_MEMORY, _DISK = 0, 1


class Place(NamedTuple):
    """Where a worker may write: two files from there on, and how many bytes into the one in memory."""

    paths: tuple[str, str]
    ends: tuple[int, int]
    room: int


class Written(NamedTuple):
    """What a worker has written: (file, partition, offset, length), one after the other, and the files' ends."""

    batches: list[tuple[int, int, int, int]]
    ends: tuple[int, int]


class Writer:
    """A worker's side."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._files: list[int | None] = [None, None]
        self._ends = list(place.ends)
        self._room = place.room
        self._batches: list[tuple[int, int, int, int]] = []

    def send(self, partition: int, packed: bytes) -> None:
        """Write something of a partition."""
        which = _MEMORY if len(packed) <= self._room else _DISK
        file = self._files[which]
        if file is None:
            file = self._files[which] = os.open(self._place.paths[which], os.O_WRONLY | os.O_CLOEXEC)
        if which == _MEMORY:
            self._room -= len(packed)
        written, end = 0, self._ends[which]
        view = memoryview(packed)
        while written < len(packed):
            written += os.pwrite(file, view[written:], end + written)
        self._batches.append((which, partition, end, len(packed)))
        self._ends[which] = end + len(packed)

    def close(self) -> Written:
        """Close the files; what was written."""
        for file in self._files:
            if file is not None:
                os.close(file)
        return Written(self._batches, (self._ends[0], self._ends[1]))


class _Pair:
    """A file in memory and one on disk."""

    def __init__(self, folder: str | None) -> None:
        self.files: list[Any] = [_in_memory(folder), tempfile.TemporaryFile(dir=folder, prefix="fenshen-")]  # noqa: SIM115
        self.paths = (_path(self.files[0]), _path(self.files[1]))
        self.ends = (0, 0)

    def close(self) -> None:
        for file in self.files:
            file.close()


def _in_memory(folder: str | None) -> Any:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("fenshen-map-reduce", os.MFD_CLOEXEC), "r+b", buffering=0)
    return tempfile.TemporaryFile(dir=folder, prefix="fenshen-", buffering=0)


def _path(file: Any) -> str:
    """How another process of this machine opens a file without a name."""
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"


class Runs:
    """All that has been sent on, as the program keeps it."""

    def __init__(self, limit: int, folder: str | None = None) -> None:
        """At most about `limit` bytes in memory; the rest in files of `folder`, by default the one for such files."""
        self._limit, self._folder = limit, folder
        self._pairs: list[_Pair] = []
        self._idle: list[int] = []
        self._lent: dict[int, tuple[int, int]] = {}
        self._batches: dict[int, list[tuple[int, int, str, int, int]]] = {}
        self.in_memory = self.on_disk = 0

    def lend(self, lot: int, others: int) -> Place:
        """A place for a lot to write, while so many others write too."""
        if not self._idle:
            self._idle.append(len(self._pairs))
            self._pairs.append(_Pair(self._folder))
        which = self._idle.pop()
        pair = self._pairs[which]
        promised = sum(room for _, room in self._lent.values())
        room = max(0, self._limit - self.in_memory - promised) // max(1, others)
        self._lent[lot] = which, room
        return Place(pair.paths, pair.ends, room)

    def take_back(self, lot: int, written: Written) -> None:
        """Take note of what a lot has written."""
        which, _ = self._lent.pop(lot)
        pair = self._pairs[which]
        self.in_memory += written.ends[_MEMORY] - pair.ends[_MEMORY]
        self.on_disk += written.ends[_DISK] - pair.ends[_DISK]
        pair.ends = written.ends
        self._idle.append(which)
        for turn, (file, partition, offset, length) in enumerate(written.batches):
            self._batches.setdefault(partition, []).append((lot, turn, pair.paths[file], offset, length))

    def partitions(self) -> list[tuple[int, int]]:
        """The partitions that there is something of, with their bytes; large ones first."""
        sizes = [(sum(batch[4] for batch in found), number) for number, found in self._batches.items()]
        return [(number, size) for size, number in sorted(sizes, reverse=True)]

    def batches(self, partition: int) -> list[tuple[str, int, int]]:
        """Where what there is of a partition lies, in the order of the lots."""
        return [batch[2:] for batch in sorted(self._batches[partition])]

    def close(self) -> None:
        """Give back all memory, and the place on disk."""
        for pair in self._pairs:
            pair.close()
        self._pairs.clear()


class Batches:
    """What lies in some places, read one after the other, as often as it is gone through."""

    def __init__(self, places: list[tuple[str, int, int]]) -> None:
        self._places = places

    def __iter__(self) -> Iterator[bytes]:
        files: dict[str, int] = {}
        try:
            for path, offset, length in self._places:
                if path not in files:
                    files[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                yield _read(files[path], offset, length)
        finally:
            for file in files.values():
                os.close(file)


def _read(file: int, offset: int, length: int) -> bytes:
    parts = []
    while length:
        part = os.pread(file, length, offset)
        if not part:
            raise EOFError("what was sent on is gone")
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
