"""A hash that equal keys share in every process, whatever its seed for hashes.

Python's own `hash()` of numbers is the same everywhere, and equal for equal numbers of different types; that of text is
not. So text and bytes are hashed by their contents, numbers by `hash()`, and tuples and frozen sets by their items. Any
other key is reduced to one of these if `hash()` of both agrees here, which says that the class means the same by
equality. What is left is hashed by its class: slower to reduce, as all such keys go to one partition, but never wrong.
"""

from __future__ import annotations

import datetime
import enum
import os
from numbers import Number
from zlib import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_MASK = (1 << 32) - 1
_NONE = 0x6E6F6E65
_FROZEN = 0x5E7


def fingerprint(key: Any) -> int:
    """Thirty-two bits that are the same for equal keys, in every process of every machine."""
    kind = type(key)
    if kind is str:
        return crc32(key.encode("utf-8", "surrogatepass"))
    if kind is int or kind is float or kind is bool:
        return _mixed(hash(key))
    of = _KNOWN.get(kind)
    return _other(key) if of is None else of(key)


def _mixed(number: int) -> int:
    """Spreads what may be small and regular numbers: a step of Knuth's multiplicative hashing, folded."""
    number = (number * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    return (number >> 32) ^ (number & _MASK)


def _of_tuple(key: tuple[Any, ...]) -> int:
    state = len(key)
    for item in key:
        state = _mixed(state * 31 + fingerprint(item))
    return state


def _of_set(key: frozenset[Any]) -> int:
    return _mixed(_FROZEN + sum(map(fingerprint, key)))


_KNOWN: dict[type, Callable[[Any], int]] = {
    bytes: crc32,
    tuple: _of_tuple,
    frozenset: _of_set,
    type(None): lambda _: _NONE,
    complex: lambda key: _mixed(hash(key)),
}


def _other(key: Any) -> int:
    if isinstance(key, Number):
        return _mixed(hash(key))
    for plain in _plain_forms(key):
        if hash(plain) == hash(key):
            return fingerprint(plain)
    if isinstance(key, datetime.datetime) and key.tzinfo is not None:
        return _mixed(hash(key))  # of the moment, as numbers: the same in all time zones
    if isinstance(key, (datetime.date, datetime.time)) and getattr(key, "tzinfo", None) is None:
        return crc32(key.replace(**({"fold": 0} if hasattr(key, "fold") else {})).isoformat().encode())
    kind = type(key)
    return crc32(f"{kind.__module__}.{kind.__qualname__}".encode())


def _plain_forms(key: Any) -> Iterator[Any]:
    """What a key may be equal to, or be hashed as."""
    for base in (str, bytes, tuple, frozenset):
        if isinstance(key, base):
            yield _as(base, key)
    if isinstance(key, enum.Enum):
        yield key._name_
    if isinstance(key, os.PathLike):
        yield os.fspath(key)
    if isinstance(key, datetime.timedelta):
        yield key.days, key.seconds, key.microseconds
    number = getattr(key, "int", None)  # a UUID's
    if type(number) is int:
        yield number
    fields = getattr(key, "__dataclass_fields__", None)
    if fields is not None:
        hashed = (f.name for f in fields.values() if (f.compare if f.hash is None else f.hash))
        yield tuple(getattr(key, name) for name in hashed)


def _as(base: Any, key: Any) -> Any:
    """The same contents in the class itself."""
    if base is str:
        return str.__str__(key) if type(str.__str__(key)) is str else "".join(key)
    return base(key) if base is not bytes else bytes(memoryview(key))
