"""Keys and values as bytes: by `marshal` where they are plain, which takes half the time, and otherwise by pickle."""

from __future__ import annotations

import marshal
import pickle
from itertools import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLAIN = frozenset((str, bytes, int, float, bool, complex, type(None)))
#: The last version of the format that does not look for an object that it has written before.
_VERSION = 2


def pack(keys: list[Any], values: list[Any], listed: bool) -> bytes:
    """The bytes of keys and each one's value, or list of values if they are `listed`. Raises what pickling raises."""
    lengths = [len(each) for each in values] if listed else None
    if listed:
        values = list(chain.from_iterable(values))
    if _PLAIN.issuperset(map(type, keys)) and _PLAIN.issuperset(map(type, values)):
        return b"m" + marshal.dumps((keys, values, lengths), _VERSION)
    try:
        return b"p" + pickle.dumps((keys, values, lengths), 5)
    except Exception:
        import cloudpickle

        return b"p" + bytes(cloudpickle.dumps((keys, values, lengths), 5))


def unpack(packed: bytes) -> tuple[list[Any], list[Any]]:
    """The keys, and their values, or their lists of values."""
    if is_tally(packed):
        found = as_dict(packed)
        return list(found), list(found.values())
    body = memoryview(packed)[1:]
    if packed[0] == ord("m"):
        keys, values, lengths = marshal.loads(body)
    else:
        keys, values, lengths = pickle.loads(body)
    if lengths is not None:
        values, flat, start = [], values, 0
        for length in lengths:
            values.append(flat[start : start + length])
            start += length
    return keys, values


def is_tally(packed: bytes) -> bool:
    """Whether a native table of counts has packed them."""
    return packed[:1] == b"t"


def as_dict(packed: bytes) -> dict[Any, Any]:
    """The keys with their values."""
    if is_tally(packed):
        from fenshen._processes import Tally

        return Tally().unpack(packed)
    return dict(zip(*unpack(packed), strict=True))
