"""`dir()` names what is there: who walks over the attributes, as a manager of multiprocessing does, finds each.

A `__class__` that is not the type's own would have it name that class's attributes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fenshen
import pytest
from commands import RUN, run
from fenshen import _threads

OF_THREADS: dict[str, Callable[[], Any]] = {
    name: getattr(_threads, name)
    for name in (
        *("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "AtomicInt", "Future"),
        *("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"),
    )
} | {"Barrier": lambda: _threads.Barrier(2)}
OF_ASYNCIO = ("Queue", "LifoQueue", "PriorityQueue", "Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore")


def check(o: Any) -> None:
    names = dir(o)
    assert [name for name in names if not hasattr(o, name)] == []
    assert len(names) == len(set(names))
    assert set(dir(type(o))) <= set(names)


@pytest.mark.parametrize("name", OF_THREADS)
def test_of_threads(name: str) -> None:
    check(OF_THREADS[name]())


def test_of_asyncio() -> None:
    from fenshen import _fenshen

    async def main() -> None:
        for name in OF_ASYNCIO:
            check(getattr(_fenshen, name)())
        check(asyncio.current_task())
        check(asyncio.get_running_loop().create_future())

    fenshen.run(main())


def test_of_an_object_with_attributes_of_its_own() -> None:
    class Event(_threads.Event):  # type: ignore[misc]
        def mine(self) -> None: ...

    event = Event()
    event.yours = 1
    check(event)
    assert {"mine", "yours", "is_set"} <= set(dir(event))


MANAGER = """
import multiprocessing
if __name__ == "__main__":
    with multiprocessing.Manager() as manager:
        queue, event, lock = manager.Queue(), manager.Event(), manager.RLock()
        queue.put(1)
        event.set()
        with lock:
            print(queue.get(), event.is_set())
"""


def test_a_manager_serves_them(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(MANAGER)
    done = run([*RUN, "app.py"], cwd=tmp_path)
    assert (done.out, done.err) == ("1 True\n", "")
