"""`Results`: what became of items, by key."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any

from fenshen.futures import Future


class Results:
    """A future for each key that somebody asked for or that is done, until all is over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[Hashable, Future[Any]] = {}
        self._over = False
        self._failure: BaseException | None = None

    def future(self, key: Hashable) -> Future[Any]:
        """The future of a key; when all is over, one that raises KeyError if nothing came for it."""
        with self._lock:
            found = self._futures.get(key)
            if found is None:
                found = Future()
                if self._over:
                    found.set_exception(self._failure or KeyError(key))
                else:
                    self._futures[key] = found
            return found

    def set(self, key: Hashable, result: Any, error: BaseException | None) -> None:
        """What became of an item; of two with the same key, the later one counts."""
        with self._lock:
            found = self._futures.get(key)
            if found is None or found.done():
                found = self._futures[key] = Future()
        if error is None:
            found.set_result(result)
        else:
            found.set_exception(error)

    def end(self, failure: BaseException | None) -> None:
        """Nothing more comes."""
        with self._lock:
            self._over = True
            self._failure = failure
            pending = {key: future for key, future in self._futures.items() if not future.done()}
            for key in pending:
                del self._futures[key]
        for key, future in pending.items():
            future.set_exception(failure or KeyError(key))

    def done(self) -> list[tuple[Hashable, Future[Any]]]:
        """What has come so far."""
        with self._lock:
            return [(key, future) for key, future in self._futures.items() if future.done()]
