"""Values by their keys, in one worker: folded as they come, or kept in lists, until they weigh too much."""

from __future__ import annotations

import operator
import pickle
import sys
from itertools import islice

from fenshen.flow._mapreduce.fingerprint import fingerprint
from fenshen.flow._mapreduce.job import blame
from fenshen.flow._mapreduce.packing import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from fenshen._processes import Tally
    from fenshen.flow._mapreduce.job import Job

#: Bytes of an entry of a dict that is neither full nor empty, of a list of one, of a pointer in a longer list.
_ENTRY, _LIST, _POINTER = 100, 64, 8
#: So many values of a key are combined at once: often enough to save memory, seldom enough to be cheap.
_COMBINED_AT = 128
_PLAIN = frozenset((int, float, bool, type(None), complex))
#: Every so many pairs one is weighed.
_SAMPLED = 64


class Groups:
    """The groups of one worker."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._fold = job.fold
        self._tally = _tally() if self._fold is operator.add else None
        #: Whether a value is its own key, and nothing but counted.
        self._is_key = job.counts and job.key is str
        self._groups: dict[Any, Any] = {}
        self._values = 0
        self._weighed = 0
        self._key_bytes = self._value_bytes = 0

    def take(self, produced: Iterable[Any]) -> None:
        """Take the pairs that `map` gave, or with `key` the values: a list, a tuple, or a dict of pairs."""
        if self._tally is not None:
            if self._is_key:
                produced = self._tally.count(produced)
            elif self._job.key is None and not self._job.counts:
                produced = self._tally.add(produced)
            if not produced:
                return
        if self._fold is not None:
            self._take_folded(self._pairs(produced))
        else:
            self._take_listed(self._pairs(produced))

    def _pairs(self, produced: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
        key = self._job.key
        if key is None:
            return produced.items() if isinstance(produced, dict) else produced
        return ((key(value), value) for value in produced)

    def _take_folded(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        groups, fold, counts = self._groups, self._fold, self._job.counts
        absent = object()
        key = value = None
        for key, value in pairs:
            if counts:
                value = 1
            before = groups.get(key, absent)
            groups[key] = value if before is absent else fold(before, value)
        self._values = len(groups)
        self._weigh(key, value)

    def _take_listed(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        groups, combine = self._groups, self._job.combine
        key = value = None
        taken = 0
        for key, value in pairs:
            values = groups.get(key)
            if values is None:
                groups[key] = [value]
            else:
                values.append(value)
                if combine is not None and len(values) >= _COMBINED_AT:
                    taken -= len(values) - 1
                    values[:] = [self._combined(key, values)]
            taken += 1
            if not taken % _SAMPLED:
                self._weigh(key, value)
        self._values += taken
        self._weigh(key, value)

    def _combined(self, key: Any, values: list[Any]) -> Any:
        try:
            return self._job.combine(key, values)
        except Exception as exc:
            blame(exc, "combine() of the key", key)
            raise

    def _weigh(self, key: Any, value: Any) -> None:
        self._weighed += 1
        self._key_bytes += sys.getsizeof(key)
        self._value_bytes += sys.getsizeof(value) if type(value) in _PLAIN else _deep_size(value)

    @property
    def weight(self) -> int:
        """About how many bytes they take, by what has been weighed of them."""
        each = max(1, self._weighed)
        tally = 0 if self._tally is None else self._tally.weight
        keys = len(self._groups) * (_ENTRY + self._key_bytes // each)
        if self._fold is None:
            keys += len(self._groups) * _LIST
        return tally + keys + self._values * (_POINTER + self._value_bytes // each)

    def drain(self) -> Iterator[tuple[int, bytes]]:
        """Everything, packed, by partition. Nothing is left."""
        if self._tally is not None:
            yield from (part for part in enumerate(self._tally.drain(self._job.partitions)) if part[1])
        groups, self._groups, self._values = self._groups, {}, 0
        parts: list[tuple[list[Any], list[Any]]] = [([], []) for _ in range(self._job.partitions)]
        many, combine, listed = len(parts), self._job.combine, self._fold is None
        for key, found in groups.items():
            if listed and combine is not None and len(found) > 1:
                found = [self._combined(key, found)]
            keys, values = parts[fingerprint(key) % many]
            keys.append(key)
            values.append(found)
        del groups
        for number, (keys, values) in enumerate(parts):
            if keys:
                yield number, pack(keys, values, listed)


def _tally() -> Tally | None:
    """What adds up counts of text, where there is the native engine."""
    from fenshen import _engine

    if _engine.engine() != "native":
        return None
    from fenshen._processes import Tally

    return Tally()


def _deep_size(value: Any) -> int:
    """About the bytes of a value with all that it holds."""
    try:
        return sys.getsizeof(value) + len(pickle.dumps(value, 5))
    except Exception:  # said when it is sent
        return sys.getsizeof(value)


def chunks(produced: Iterable[Any], size: int = 1 << 14) -> Iterator[list[Any]]:
    """What a generator yields, some at a time."""
    iterator = iter(produced)
    while chunk := list(islice(iterator, size)):
        yield chunk
