"""What there is to map, cut into lots: a lot is what a worker is given at a time."""

from __future__ import annotations

import errno
import glob
import itertools
import os
import sys
import time
from typing import NamedTuple

from fenshen.flow._mapreduce.job import blame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

#: Bytes of a piece of a file, by default.
PIECE = 4 << 20
#: A worker is given at most so many bytes of files at a time.
_LOT = 64 << 20
#: Items that are sent to a worker together weigh no more, in bytes, as far as that shows from outside.
_SENT = 16 << 20
#: Seconds that a lot of items should take.
_TAKES = 0.2
#: Bytes that are looked through at once for the end of a line.
_STEP = 1 << 16


class Items(NamedTuple):
    """Items that were sent."""

    items: list[Any]

    def each(self) -> Iterator[Any]:
        """The items."""
        return iter(self.items)


class Shard(NamedTuple):
    """Something that a worker goes through."""

    shard: Any

    def each(self) -> Iterator[Any]:
        """Its items."""
        return iter(self.shard() if callable(self.shard) else self.shard)


class Pieces(NamedTuple):
    """Pieces of files, which the worker reads."""

    pieces: list[tuple[str, int, int | None]]
    encoding: str | None
    errors: str
    lines: bool

    def each(self) -> Iterator[Any]:
        """The text, or bytes, of each; or its lines without their ends."""
        for path, start, stop in self.pieces:
            text = read(path, start, stop)
            block = text if self.encoding is None else text.decode(self.encoding, self.errors)
            if self.lines:
                yield from _lines(block)
            elif block:
                yield block


def _lines(block: Any) -> Iterator[Any]:
    end, carriage = ("\n", "\r") if isinstance(block, str) else (b"\n", b"\r")
    lines = block.split(end)
    if not lines[-1]:
        lines.pop()
    for line in lines:
        yield line.removesuffix(carriage)


def read(path: str, start: int, stop: int | None) -> bytes:
    """The lines of a file that begin from `start` to before `stop`, in bytes; all of it if `stop` is None."""
    with open(path, "rb", buffering=0) as file:
        if stop is None:
            return file.readall()
        start = _line_from(file, start)
        stop = _line_from(file, stop)
        file.seek(start)
        parts = []
        while start < stop and (part := file.read(stop - start)):
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _line_from(file: Any, place: int) -> int:
    """Where the first line begins that begins at `place` or later."""
    if place == 0:
        return 0
    place -= 1
    file.seek(place)
    while part := file.read(_STEP):
        found = part.find(b"\n")
        if found >= 0:
            return int(place + found + 1)
        place += len(part)
    return place


class Files:
    """Files to map, by a pattern; made by `files()`."""

    def __init__(
        self,
        patterns: tuple[Any, ...],
        root: Any,
        split: int | None,
        lines: bool,
        encoding: str | None,
        errors: str,
    ) -> None:
        if split is not None and split < 1:
            raise ValueError("split must be None or at least 1 byte")
        if encoding is not None and split is not None and "\n".encode(encoding) != b"\n":
            raise ValueError(f"files in {encoding} cannot be split at the ends of lines: split=None")
        self._patterns = [os.fspath(pattern) for pattern in patterns]
        self._root = None if root is None else os.fspath(root)
        self._split, self._how = split, (encoding, errors, lines)

    def paths(self) -> list[str]:
        """The files, sorted, each once. FileNotFoundError for a name that is no pattern and is not there."""
        found = set()
        for pattern in self._patterns:
            pattern = pattern if self._root is None else os.path.join(self._root, pattern)
            matching = glob.glob(pattern, recursive=True)
            if not matching and os.path.exists(pattern):  # a name with brackets in it
                matching = [pattern]
            elif not matching and not glob.has_magic(pattern):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), pattern)
            found.update(os.path.abspath(path) for path in matching)
        return sorted(path for path in found if os.path.isfile(path))

    def lots(self, workers: int) -> Lots:
        """The pieces, some for each lot: so many that workers end together, and that few results need to be joined."""
        sizes = [(path, os.path.getsize(path)) for path in self.paths()]
        total = sum(size for _, size in sizes)
        most = max(self._split or 1, min(_LOT, total // (workers * 8)))
        lots, lot, weight = [], [], 0
        for path, size in sizes:
            for start, stop, length in self._cut(size):
                if lot and weight + length > most:
                    lots.append(lot)
                    lot, weight = [], 0
                lot.append((path, start, stop))
                weight += length
        if lot:
            lots.append(lot)
        return Lots((Pieces(each, *self._how) for each in lots), len(lots))

    def _cut(self, size: int) -> Iterator[tuple[int, int | None, int]]:
        if self._split is None or size <= self._split:
            yield 0, None, size
            return
        for start in range(0, size, self._split):
            stop = min(size, start + self._split)
            yield start, stop, stop - start


class Shards:
    """Shards to map; made by `shards()`."""

    def __init__(self, found: Iterable[Any]) -> None:
        self._shards = found

    def lots(self, workers: int) -> Lots:
        """A lot for each."""
        number = len(self._shards) if hasattr(self._shards, "__len__") else None
        return Lots((Shard(each) for each in self._shards), number)


class Lots:
    """Lots, one after the other, and how many there will be where that is known."""

    def __init__(self, lots: Iterator[Any], number: int | None) -> None:
        self._lots, self.number = lots, number

    def next(self) -> Any:
        """The next one, or None."""
        return next(self._lots, None)

    def took(self, lot: Any, seconds: float) -> None:
        """A worker has been busy with one for so long."""


class ItemLots(Lots):
    """Lots of the items of an iterable, which is read no further than that; their size follows how long one takes."""

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__(iter(()), None)
        self._items = iter(items)
        self._size = 1

    def next(self) -> Any:
        found: list[Any] = []
        weight = 0
        for item in itertools.islice(self._items, self._size):
            found.append(item)
            weight += sys.getsizeof(item)
            if weight > _SENT:
                break
        return Items(found) if found else None

    def took(self, lot: Any, seconds: float) -> None:
        if len(lot.items) >= self._size:
            wanted = int(self._size * _TAKES / max(seconds, _TAKES / 8))
            self._size = max(1, min(wanted, 1 << 20))


def lots_of(items: Any, workers: int) -> Lots:
    """What `map_reduce` was given, in lots."""
    if isinstance(items, (Files, Shards)):
        return items.lots(workers)
    return ItemLots(items)


def each_mapped(lot: Any, function: Any) -> Iterator[tuple[Any, Any]]:
    """Each item with what the function gives of it; what it raises says of which."""
    items = None
    while True:
        try:
            items = items or iter(lot.each())
            item = next(items)
        except StopIteration:
            return
        except Exception as exc:
            blame(exc, "reading", lot[0])
            raise
        try:
            produced = function(item)
        except Exception as exc:
            blame(exc, "map() of the item", item)
            raise
        yield item, produced
        del item, produced


def now() -> float:
    """Seconds, for differences."""
    return time.perf_counter()
