"""Values by their keys, in one worker: folded as they come, or kept in lists, until they weigh too much."""

from __future__ import annotations

import pickle
import sys
from itertools import islice

from fenshen.flow._mapreduce.fingerprint import fingerprint
from fenshen.flow._mapreduce.job import blame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from fenshen.flow._mapreduce.job import Job

    Part = tuple[list[Any], list[list[Any]]]

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
        self._groups: dict[Any, Any] = {}
        self._values = 0
        self._weighed = 0
        self._key_bytes = self._value_bytes = 0

    def take(self, produced: Iterable[Any]) -> None:
        """Take the pairs that `map` gave, or with `key` the values."""
        if self._fold is not None:
            self._take_folded(self._pairs(produced))
        else:
            self._take_listed(self._pairs(produced))

    def _pairs(self, produced: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
        key = self._job.key
        if key is None:
            return produced
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
        keys = len(self._groups) * (_ENTRY + self._key_bytes // each)
        if self._fold is None:
            keys += len(self._groups) * _LIST
        return keys + self._values * (_POINTER + self._value_bytes // each)

    def drain(self) -> list[Part]:
        """Everything, by partition: keys, and lists of each key's values. Nothing is left."""
        groups, self._groups, self._values = self._groups, {}, 0
        parts: list[Part] = [([], []) for _ in range(self._job.partitions)]
        many = len(parts)
        if self._fold is not None:
            for key, value in groups.items():
                keys, values = parts[fingerprint(key) % many]
                keys.append(key)
                values.append(value)
            return parts
        combine = self._job.combine
        for key, found in groups.items():
            if combine is not None and len(found) > 1:
                found = [self._combined(key, found)]
            keys, values = parts[fingerprint(key) % many]
            keys.append(key)
            values.append(found)
        return parts


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
