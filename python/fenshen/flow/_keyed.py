"""`Keyed`: what there is one of for each key."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class _Counted(Protocol):
    @property
    def idle(self) -> bool:
        """Whether a new one would be as good."""


T = TypeVar("T", bound=_Counted)


class Keyed(Generic[T]):
    """Makes one for a key when it is first asked for, and forgets it when it is idle and nobody has it."""

    # Among so many that were asked for, idle ones are looked for.
    _MANY = 256

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._all: weakref.WeakValueDictionary[Hashable, T] = weakref.WeakValueDictionary()
        self._kept: dict[Hashable, T] = {}
        self._many = self._MANY

    def __len__(self) -> int:
        return len(self._all)

    def __call__(self, key: Hashable) -> T:
        """The one for a key."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                found = self._all.get(key)
                if found is None:
                    found = self._all[key] = self._make()
                if len(self._kept) >= self._many:
                    self._kept = {other: one for other, one in self._kept.items() if not one.idle}
                    self._many = max(self._MANY, 2 * len(self._kept))
                self._kept[key] = found
            return found
