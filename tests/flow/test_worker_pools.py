"""`worker_pool`: what becomes of the items of a queue, and how it ends."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fenshen
import pytest
from fenshen import queue as our_queue
from fenshen.flow import worker_pool

from flow import work
from flow.sides import PATIENCE, auntil, each_loop, on_fenshen, until

HANDLERS = [
    (work.unlucky, "async"),
    (work.aunlucky, "async"),
    (work.unlucky, "thread"),
    (work.unlucky, "process"),
    (work.aunlucky, "process+async"),
    (work.unlucky, "auto"),
    (work.aunlucky, "auto"),
]
each_handler = pytest.mark.parametrize(("handler", "model"), HANDLERS)
GOOD = {number: number for number in range(30) if number % 7}
BAD = {0, 7, 14, 21, 28}


def filled(items: Any, kind: Any = queue.Queue) -> Any:
    """A queue with these items."""
    made = kind()
    for item in items:
        made.put_nowait(item)
    return made


@each_handler
@pytest.mark.parametrize("kind", [queue.Queue, our_queue.Queue, queue.SimpleQueue, fenshen.Queue])
def test_in_a_script(handler: Any, model: str, kind: Any) -> None:
    items = filled(range(30), kind)
    with worker_pool(handler, items, model=model) as pool:
        assert pool.result(3) == 3
        with pytest.raises(work.Unlucky) as caught:
            pool.result(7)
        assert caught.value.item == 7  # type: ignore[attr-defined]
    assert pool.results() == GOOD
    assert pool.errors().keys() == BAD
    if kind is not queue.SimpleQueue:
        items.join()  # everything is said to be done


@each_loop
@each_handler
@pytest.mark.parametrize("kind", [asyncio.Queue, queue.Queue, fenshen.Queue])
def test_on_a_loop(run: Callable[[Any], Any], handler: Any, model: str, kind: Any) -> None:
    async def main() -> None:
        items = filled(range(30), kind)
        async with worker_pool(handler, items, model=model) as pool:
            assert await pool.aresult(3) == 3
            with pytest.raises(work.Unlucky):
                await pool.aresult(7)
        assert pool.results() == GOOD
        assert pool.errors().keys() == BAD
        assert pool.result(5) == 5

    run(main())


@each_loop
def test_items_that_come_later(run: Callable[[Any], Any]) -> None:
    async def main() -> None:
        items: asyncio.Queue[int] = asyncio.Queue()
        async with worker_pool(work.double, items, model="thread") as pool:
            asked = asyncio.ensure_future(pool.aresult(4))
            await asyncio.sleep(0.01)
            await items.put(4)
            assert await asked == 8

    run(main())


def test_items_that_come_later_from_a_thread() -> None:
    items: queue.Queue[int] = queue.Queue()
    with worker_pool(work.adouble, items, model="async") as pool:
        timer = threading.Timer(0.02, items.put, [4])
        timer.start()
        assert pool.result(4, timeout=PATIENCE) == 8
        timer.join()


def test_no_more_at_once_than_workers() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def handler(_item: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        work.nap(0.002)
        with lock:
            running -= 1

    with worker_pool(handler, filled(range(30)), model="thread", workers=3) as pool:
        pass
    assert len(pool.results()) == 30
    assert 1 < most <= 3


def test_no_more_is_taken_than_there_are_workers() -> None:
    items, go_on = filled(range(10)), threading.Event()
    with worker_pool(lambda _: go_on.wait(PATIENCE), items, model="thread", workers=3):
        until(lambda: items.qsize() == 7)
        work.nap(0.05)
        assert items.qsize() == 7
        go_on.set()


def test_keys() -> None:
    with worker_pool(len, filled([["a"], ["b", "b"]]), key=lambda item: item[0], model="thread") as pool:
        assert pool.result("b") == 2
    assert pool.results() == {"a": 1, "b": 2}
    with pytest.raises(KeyError, match="c"):
        pool.result("c")


def test_later_item_of_a_key_counts() -> None:
    items = filled([(1, "a"), (1, "b")])
    with worker_pool(lambda item: item[1], items, key=lambda item: item[0], model="thread", workers=1) as pool:
        pass
    assert pool.results() == {1: "b"}


def test_key_that_cannot_be_told_ends_the_pool() -> None:
    items = filled([[1], [2]])
    pool = worker_pool(len, items, model="thread", workers=1)
    with pytest.raises(TypeError, match="unhashable"):
        pool.drain()
    with pytest.raises(TypeError, match="unhashable"):
        pool.result("anything")
    with pytest.raises(TypeError, match="unhashable"):
        pool.stop()


def test_result_in_time() -> None:
    with worker_pool(work.double, queue.Queue(), model="thread") as pool, pytest.raises(TimeoutError):
        pool.result(1, timeout=0.01)


def test_drain_handles_what_is_there() -> None:
    items, go_on = filled(range(20)), threading.Event()
    pool = worker_pool(lambda item: go_on.wait(PATIENCE) and item, items, model="thread", workers=2)
    assert not pool.drain(timeout=0.05)
    go_on.set()
    assert pool.drain()
    assert len(pool.results()) == 20
    assert pool.drain()
    assert repr(pool) == "<<lambda> ended>"


@each_loop
def test_drain_on_a_loop(run: Callable[[Any], Any]) -> None:
    async def main() -> None:
        items, go_on = filled(range(20), asyncio.Queue), asyncio.Event()

        async def handler(item: int) -> int:
            await go_on.wait()
            return item

        pool = worker_pool(handler, items, model="async", workers=2)
        assert not await pool.adrain(timeout=0.02)
        go_on.set()
        assert await pool.adrain()
        assert len(pool.results()) == 20

    run(main())


@each_loop
def test_stop_tells_what_was_not_handled(run: Callable[[Any], Any]) -> None:
    async def main() -> None:
        items, begun = filled(range(10), asyncio.Queue), []

        async def handler(item: int) -> None:
            begun.append(item)
            if item > 1:
                await asyncio.sleep(600)

        pool = worker_pool(handler, items, model="async", workers=3)
        await auntil(lambda: len(begun) == 5)
        assert sorted(await pool.astop()) == [2, 3, 4]
        assert pool.results() == {0: None, 1: None}
        assert items.qsize() == 5
        with pytest.raises(KeyError):
            await pool.aresult(2)

    run(main())


def test_stop_waits_for_threads() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def handler(item: int) -> int:
        begun.set()
        assert go_on.wait(PATIENCE)
        return item

    items = filled([1, 2])
    pool = worker_pool(handler, items, model="thread", workers=1)
    assert begun.wait(PATIENCE)
    threading.Timer(0.05, go_on.set).start()
    assert pool.stop() == []
    assert pool.results() == {1: 1}
    assert items.qsize() == 1


def test_stop_ends_processes(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    pool = worker_pool(work.sleep_long, filled([str(path)]), model="process")
    until(lambda: path.exists() and path.read_text())
    assert pool.stop() == [str(path)]


@pytest.mark.parametrize("kind", [our_queue.Queue, fenshen.Queue])
def test_queue_that_is_shut_down_ends_the_pool(kind: Any) -> None:
    items = filled(range(5), kind)
    pool = worker_pool(work.double, items, model="thread")
    until(lambda: len(pool.results()) == 5)
    items.shutdown()
    until(lambda: repr(pool) == "<double ended>")
    assert pool.drain()


def test_error_in_the_with_statement_stops_the_pool() -> None:
    begun = threading.Event()

    async def handler(_item: int) -> None:
        begun.set()
        await asyncio.sleep(600)

    pool = worker_pool(handler, filled([1]), model="async")

    def fail() -> None:
        with pool:
            assert begun.wait(PATIENCE)
            raise work.Unlucky

    with pytest.raises(work.Unlucky):
        fail()
    assert repr(pool) == "<handler ended>"


@pytest.mark.fenshen_leaks(tasks=False)
def test_end_of_the_loop_ends_the_pool() -> None:
    ended = []

    async def handler(_item: int) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(1)

    async def main() -> Any:
        pool = worker_pool(handler, filled([1, 2], asyncio.Queue), model="async")
        await asyncio.sleep(0.05)
        return pool

    pool = on_fenshen(main())
    assert ended == [1, 1]
    assert repr(pool) == "<handler ended>"


@each_loop
def test_blocking_a_running_loop_is_refused(run: Callable[[Any], Any]) -> None:
    async def main() -> None:
        async with worker_pool(work.double, asyncio.Queue(), model="thread") as pool:
            for what, better in ((pool.stop, "astop"), (pool.drain, "adrain"), (lambda: pool.result(1), "aresult")):
                with pytest.raises(RuntimeError, match=better):
                    what()

    run(main())


def test_what_is_no_pool() -> None:
    with pytest.raises(TypeError, match="needs a function"):
        worker_pool(3, queue.Queue())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a handler returns one result"):
        worker_pool(work.upto, queue.Queue())
    with pytest.raises(TypeError, match="a queue is wanted, not list"):
        worker_pool(work.double, [])
    with pytest.raises(TypeError, match="needs the model"):
        worker_pool(work.adouble, queue.Queue(), model="thread")
    with pytest.raises(TypeError, match="belongs to a running event loop"):
        worker_pool(work.double, asyncio.Queue())
    with pytest.raises(ValueError, match="workers"):
        worker_pool(work.double, queue.Queue(), workers=0)
