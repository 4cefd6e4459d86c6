"""Caches under threads: functools', cachetools' with a lock and with a condition, cached properties, keys that wait."""

from __future__ import annotations

import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cachetools
from engine import checked

SECONDS = 30


class Counted:
    """Counts its calls, and is slow enough to be called twice at once."""

    def __init__(self) -> None:
        self.calls = 0
        self.lock = threading.Lock()

    def __call__(self, number: int) -> int:
        with self.lock:
            self.calls += 1
        time.sleep(0.001)
        return number * number


def asked(function: object, values: int = 20) -> bool:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(function, list(range(values)) * 10))  # type: ignore[arg-type]
    return found == [number * number for number in range(values)] * 10


def of_functools() -> None:
    counted = Counted()
    cached = functools.lru_cache(maxsize=None)(counted)
    print(asked(cached), cached.cache_info().currsize, counted.calls >= 20)

    class Page:
        made = 0

        @functools.cached_property
        def text(self) -> str:
            Page.made += 1
            return "text"

    page = Page()
    with ThreadPoolExecutor(8) as pool:
        print(set(pool.map(lambda _: page.text, range(100))), Page.made >= 1)


def of_cachetools() -> None:
    for cache in (cachetools.LRUCache(5), cachetools.TTLCache(50, 1000), cachetools.LFUCache(50), {}):
        counted = Counted()
        cached = cachetools.cached(cache, lock=threading.RLock())(counted)
        print(asked(cached), len(cache), cached.cache_lock is not None)
    counted = Counted()
    cached = cachetools.cached({}, condition=threading.Condition())(counted)
    print(asked(cached), counted.calls)  # with a condition nobody computes what another is at
    cached = cachetools.cached({}, condition=threading.Condition(), info=True)(Counted())
    print(asked(cached), cached.cache_info())


class Account:
    """A cache and a lock in each object."""

    def __init__(self) -> None:
        self.cache = cachetools.LRUCache(100)
        self.lock = threading.RLock()
        self.counted = Counted()

    @cachetools.cachedmethod(lambda self: self.cache, lock=lambda self: self.lock)
    def value(self, number: int) -> int:
        return self.counted(number)


@checked
def main() -> None:
    of_functools()
    of_cachetools()
    account = Account()
    print(asked(account.value), len(account.cache))


if __name__ == "__main__":
    main()
