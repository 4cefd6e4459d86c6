"""threading.local and context variables: what each thread, pool worker and timer sees, and when it goes."""

from __future__ import annotations

import contextvars
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

from engine import checked

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


class Connection:
    """Something that a thread has one of."""


class Store(threading.local):
    limit = 3

    def __init__(self, name: str) -> None:
        self.name = f"{name} of {threading.current_thread().name}"
        self.items: list[int] = []


def run(*targets: object) -> None:
    threads = [threading.Thread(target=target, name=f"t{n}") for n, target in enumerate(targets)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def separate() -> None:
    store = Store("store")
    seen = {}
    meeting = threading.Barrier(5)

    def work() -> None:
        name = threading.current_thread().name
        for number in range(100):
            store.items.append(number)
        meeting.wait(30)
        seen[name] = (store.name, len(store.items), store.limit, hasattr(store, "extra"))
        store.extra = 1

    store.extra = 2
    run(*[work] * 5)
    print(sorted(seen.values())[:2], len(seen))
    print(store.name, store.items, store.extra, sorted(vars(store)))


def gone() -> None:
    """What a thread kept goes with it."""
    held = threading.local()
    left: list[weakref.ref[Connection]] = []

    def work() -> None:
        held.connection = Connection()
        left.append(weakref.ref(held.connection))

    run(*[work] * 4)
    gc.collect()
    print([each() for each in left])
    mine = threading.local()
    mine.connection = Connection()
    left.append(weakref.ref(mine.connection))
    del mine
    gc.collect()
    print(left[-1]())


def pooled() -> None:
    held = threading.local()
    made = []

    def connection() -> Connection:
        if not hasattr(held, "connection"):
            held.connection = Connection()
            made.append(held.connection)
        return held.connection

    with ThreadPoolExecutor(3, initializer=connection) as pool:
        used = set(map(id, pool.map(lambda _: connection(), range(300))))
    print(used <= set(map(id, made)), len(made) <= 3)
    with ThreadPoolExecutor(1) as pool:
        user.set("ann")
        context = contextvars.copy_context()
        print(pool.submit(context.run, user.get).result())
        print(pool.submit(lambda: user.set("bob") and user.get()).result(), user.get())


@checked
def main() -> None:
    for part in (separate, gone, pooled):
        part()


if __name__ == "__main__":
    main()
