"""The laws of `fenshen.Queue` for threads and tasks, where it is shared and where it is not."""

from __future__ import annotations

import asyncio
import gc
import pickle
import signal
import threading
import time
import weakref
from concurrent.futures import CancelledError
from queue import Empty, Full

import fenshen
import pytest
from fenshen.queue import ShutDown
from on_loops import each_loop, run

from together.sides import PATIENCE, begin, blocked, either, needs_native

pytestmark = needs_native


@either
def test_first_in_first_out(shared):
    q = fenshen.Queue(shared=shared)
    for i in range(1000):
        q.put(i)
    assert (q.qsize(), q.empty(), q.full(), q.maxsize, q.shared) == (1000, False, False, 0, shared)
    assert [q.get() for _ in range(1000)] == list(range(1000))
    assert (q.qsize(), q.empty()) == (0, True)


@either
def test_what_does_not_wait(shared):
    q = fenshen.Queue(2, shared=shared)
    for call in (q.get_nowait, lambda: q.get(False), lambda: q.get(timeout=0.01), lambda: q.get(timeout=0)):
        with pytest.raises(Empty):
            call()
    q.put_nowait("a")
    q.put("b", False)
    assert q.full()
    assert q.maxsize == 2
    for call in (lambda: q.put_nowait("c"), lambda: q.put("c", block=False), lambda: q.put("c", timeout=0.01)):
        with pytest.raises(Full):
            call()
    with pytest.raises(ValueError, match="non-negative"):
        q.get(timeout=-1)
    with pytest.raises(ValueError, match="non-negative"):
        q.put("c", timeout=-1)
    assert [q.get_nowait(), q.get()] == ["a", "b"]


@either
def test_a_thread_waits_for_an_item_and_for_a_place(shared):
    q = fenshen.Queue(1, shared=shared)
    with blocked(q.get) as got:
        q.put("x")
        assert got.result(PATIENCE) == "x"
    q.put(1)
    with blocked(q.put, 2) as put:
        assert q.get() == 1
        assert put.result(PATIENCE) is None
    assert q.get() == 2


@either
@each_loop
def test_a_task_waits_for_an_item_and_for_a_place(factory, shared):
    q = fenshen.Queue(1, shared=shared)

    async def main():
        got = asyncio.ensure_future(q.aget())
        await asyncio.sleep(0)
        await asyncio.to_thread(q.put, "x")
        assert await got == "x"
        await q.aput(1)
        put = asyncio.ensure_future(q.aput(2))
        await asyncio.sleep(0)
        assert not put.done()
        assert await asyncio.to_thread(q.get) == 1
        assert await put is None
        assert await q.aget() == 2

    run(main(), factory)


@either
@each_loop
def test_a_task_waits_so_long(factory, shared):
    q = fenshen.Queue(1, shared=shared)

    async def main():
        for timeout in (0, 0.01):
            with pytest.raises(Empty):
                await q.aget(timeout)
        await q.aput(1, timeout=PATIENCE)
        for timeout in (0, 0.01):
            with pytest.raises(Full):
                await q.aput(2, timeout=timeout)
        with pytest.raises(ValueError, match="non-negative"):
            await q.aget(-1)
        assert await q.aget(timeout=PATIENCE) == 1

    run(main(), factory)


@either
def test_tasks_of_two_loops_and_a_thread_meet(shared):
    there, back = fenshen.Queue(2, shared=shared), fenshen.Queue(2, shared=shared)

    async def double():
        async for item in there:
            await back.aput(2 * item)
        back.shutdown()

    async def collect():
        return [item async for item in back]

    def produce():
        for i in range(500):
            there.put(i)
        there.shutdown()

    doubling, producing = begin(run, double(), asyncio.SelectorEventLoop), begin(produce)
    assert run(collect()) == [2 * i for i in range(500)]
    assert (doubling.result(PATIENCE), producing.result(PATIENCE)) == (None, None)


@either
@each_loop
def test_a_blocking_call_does_not_stop_a_loop(factory, shared):
    q = fenshen.Queue(1, shared=shared)

    async def main():
        with pytest.raises(RuntimeError, match=r"Queue.get\(\) would block .* `await queue.aget\(\)`"):
            q.get()
        with pytest.raises(Empty):
            q.get_nowait()
        q.put(1)
        with pytest.raises(RuntimeError, match=r"`await queue.aput\(item\)`"):
            q.put(2, timeout=1)
        with pytest.raises(Full):
            q.put_nowait(2)
        with pytest.raises(RuntimeError, match=r"`await queue.ajoin\(\)`"):
            q.join()
        assert q.get() == 1

    run(main(), factory)


@either
@each_loop
def test_a_cancelled_task_loses_nothing(factory, shared):
    q = fenshen.Queue(1, shared=shared)

    async def main():
        first, second = asyncio.ensure_future(q.aget()), asyncio.ensure_future(q.aget())
        await asyncio.sleep(0)
        q.put("x")
        first.cancel()
        assert await asyncio.wait_for(second, PATIENCE) == "x"
        with pytest.raises(asyncio.CancelledError):
            await first
        q.put(1)
        first, second = asyncio.ensure_future(q.aput(2)), asyncio.ensure_future(q.aput(3))
        await asyncio.sleep(0)
        assert q.get_nowait() == 1
        first.cancel()
        assert await asyncio.wait_for(second, PATIENCE) is None
        with pytest.raises(asyncio.CancelledError):
            await first
        assert q.get_nowait() == 3, "who was cancelled has put nothing"
        assert q.empty()

    run(main(), factory)


@either
def test_threads_and_tasks_are_served_in_the_order_in_which_they_came(shared):
    q, order = fenshen.Queue(shared=shared), []

    def thread(name):
        order.append((name, q.get()))

    async def main():
        async def task(name):
            order.append((name, await q.aget()))

        with blocked(thread, "first") as first:
            second = asyncio.ensure_future(task("second"))
            await asyncio.sleep(0.01)
            with blocked(thread, "third") as third:
                fourth = asyncio.ensure_future(task("fourth"))
                await asyncio.sleep(0.01)
                for i in range(4):
                    q.put(i)
                    while len(order) <= i:
                        await asyncio.sleep(0.001)
                await asyncio.wait_for(asyncio.gather(second, fourth), PATIENCE)
                while not (first.done() and third.done()):
                    await asyncio.sleep(0.001)

    run(main())
    assert sorted(order, key=lambda pair: pair[1]) == [("first", 0), ("second", 1), ("third", 2), ("fourth", 3)]


@either
def test_putters_are_admitted_in_the_order_in_which_they_came(shared):
    q = fenshen.Queue(1, shared=shared)
    q.put(0)

    async def main():
        with blocked(q.put, 1):
            second = asyncio.ensure_future(q.aput(2))
            await asyncio.sleep(0.01)
            with blocked(q.put, 3):
                got = []
                while len(got) < 4:
                    got.append(await q.aget(PATIENCE))
                await second
        return got

    assert run(main()) == [0, 1, 2, 3]


@either
def test_shut_down(shared):
    q = fenshen.Queue(2, shared=shared)
    q.put(1)
    q.put(2)
    with blocked(q.put, 3) as put:
        q.shutdown()
        assert isinstance(put.exception(PATIENCE), ShutDown)
    assert q.is_shutdown
    with pytest.raises(ShutDown):
        q.put_nowait(3)
    assert list(q) == [1, 2]
    for call in (q.get, q.get_nowait, lambda: q.get(timeout=1)):
        with pytest.raises(ShutDown):
            call()


@either
@each_loop
def test_shut_down_tells_those_who_wait(factory, shared):
    q = fenshen.Queue(shared=shared)

    async def main():
        task = asyncio.ensure_future(q.aget())
        await asyncio.sleep(0)
        with blocked(q.get) as thread:
            q.shutdown()
            with pytest.raises(ShutDown):
                await asyncio.wait_for(task, PATIENCE)
            assert isinstance(thread.exception(PATIENCE), ShutDown)
        with pytest.raises(ShutDown):
            await q.aput(1)
        assert [item async for item in q] == []

    run(main(), factory)


@either
def test_shut_down_at_once(shared):
    q = fenshen.Queue(shared=shared)
    for i in range(10):
        q.put(i)
    with blocked(q.join) as joined:
        q.shutdown(immediate=True)
        assert joined.result(PATIENCE) is True
    with pytest.raises(ShutDown):
        q.get()
    assert (q.qsize(), q.unfinished_tasks) == (0, 0)


@either
@each_loop
def test_the_end_of_all_work(factory, shared):
    q = fenshen.Queue(shared=shared)
    with pytest.raises(ValueError, match="too many times"):
        q.task_done()

    async def main():
        assert await q.ajoin() is True
        q.put(1)
        q.put(2)
        assert (q.unfinished_tasks, await q.ajoin(0.01)) == (2, False)
        joining = asyncio.ensure_future(q.ajoin())
        with blocked(q.join) as joined:
            await q.aget()
            q.task_done()
            assert not joining.done()
            assert not joined.done()
            await q.aget()
            q.task_done()
            assert await asyncio.wait_for(joining, PATIENCE) is True
            assert joined.result(PATIENCE) is True
        assert q.join(timeout=0) is True

    run(main(), factory)


@either
def test_what_an_interrupted_thread_was_given_is_not_lost(shared):
    q = fenshen.Queue(shared=shared)

    class Interrupt(Exception):
        pass

    def interrupt(*_):
        q.put("item")
        raise Interrupt

    def get():
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        q.get()

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(Interrupt):
            get()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert q.get(timeout=PATIENCE) == "item"
    assert q.empty()


def test_a_task_that_nobody_runs_any_more_leaves_its_item_to_others():
    q = fenshen.Queue()
    loop = asyncio.SelectorEventLoop()

    async def wait():
        await q.aget()

    task = loop.create_task(wait())
    loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False
    q.put("x")
    loop.close()
    del task
    gc.collect()
    assert q.get(timeout=PATIENCE) == "x"


def test_a_loop_that_was_closed_is_passed_over():
    q = fenshen.Queue()
    loop = asyncio.SelectorEventLoop()

    async def wait():
        await q.aget()

    task = loop.create_task(wait())
    loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False
    loop.close()
    q.put("x")
    assert q.get(timeout=PATIENCE) == "x"


def test_garbage_is_collected():
    class Item:
        pass

    q, item = fenshen.Queue(), Item()
    item.queue = q
    q.put(item)
    gone = weakref.ref(item)
    del q, item
    gc.collect()
    assert gone() is None


def test_a_waiting_task_is_garbage_once_nobody_else_has_the_queue():
    loop = asyncio.SelectorEventLoop()

    async def wait(q):
        await q.aget()

    q = fenshen.Queue()
    task = loop.create_task(wait(q))
    loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False
    gone = weakref.ref(task)
    del q, task
    gc.collect()
    assert gone() is None
    loop.close()


def test_a_local_one_is_not_pickled():
    for o, name in ((fenshen.Queue(), "Queue"), (fenshen.Event(), "Event"), (fenshen.Semaphore(), "Semaphore")):
        with pytest.raises(TypeError, match=f"cannot pickle 'fenshen.{name}' object: .*shared=True"):
            pickle.dumps(o)
    for o in (fenshen.Queue(shared=True), fenshen.Event(shared=True), fenshen.Semaphore(shared=True)):
        with pytest.raises(RuntimeError, match="inheritance"):
            pickle.dumps(o)


def test_what_is_not_pickled_is_not_put():
    q = fenshen.Queue(shared=True)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        q.put(threading.Lock())
    q.put(1)
    assert (q.get(), q.qsize()) == (1, 0)


def test_what_is_too_much_for_the_memory_is_kept():
    q = fenshen.Queue(shared=True)
    for i in range(30_000):
        q.put((i, "x" * 20))
    assert q.qsize() == 30_000
    assert [q.get(timeout=PATIENCE)[0] for _ in range(30_000)] == list(range(30_000))


def test_large_items_come_whole():
    q = fenshen.Queue(shared=True)
    items = [b"x" * size for size in (0, 10, 20_000, 1 << 20)]
    for item in items:
        q.put(item)
    assert [q.get(timeout=PATIENCE) for _ in items] == items


@either
def test_it_shows_what_it_is(shared):
    q = fenshen.Queue(3, shared=shared)
    q.put(1)
    assert f"{q!r}".startswith("<fenshen.Queue at 0x")
    assert f"{q!r}".endswith(": 1 of 3 items>")
    q.shutdown()
    assert f"{q!r}".endswith(": 1 of 3 items, shut down>")
    assert type(q).__module__ == "fenshen"
    assert asyncio.iscoroutinefunction(q.aget)


@either
def test_to_ask_for_an_item_takes_none(shared):
    q = fenshen.Queue(shared=shared)
    q.put(1)
    with pytest.raises(TypeError, match="'Queue' object is not a container"):
        assert 1 in q
    assert q.get(timeout=PATIENCE) == 1


@either
def test_many_threads_and_tasks(shared):
    count, q, seen, lock = 2000, fenshen.Queue(4, shared=shared), [], threading.Lock()

    def produce(first):
        for i in range(first, count, 4):
            q.put(i)

    def consume():
        for item in q:
            with lock:
                seen.append(item)

    async def tasks():
        async def put(first):
            for i in range(first, count, 4):
                await q.aput(i)

        async def get():
            async for item in q:
                with lock:
                    seen.append(item)

        getting = [asyncio.ensure_future(get()) for _ in range(2)]
        await asyncio.gather(put(0), put(1))
        while not all(future.done() for future in producers):
            await asyncio.sleep(0.005)
        q.shutdown()
        await asyncio.gather(*getting)

    producers = [begin(produce, 2), begin(produce, 3)]
    consumers = [begin(consume) for _ in range(2)]
    started = time.monotonic()
    run(tasks())
    for future in (*producers, *consumers):
        future.result(PATIENCE)
    assert sorted(seen) == list(range(count)), time.monotonic() - started


@either
def test_work_that_is_cancelled_leaves_the_line(shared):
    from fenshen._threads import Cancellation

    q, cancellation = fenshen.Queue(1, shared=shared), Cancellation()

    def get():
        with cancellation:
            q.get()

    with blocked(get) as got:
        cancellation.cancel()
        assert isinstance(got.exception(PATIENCE), CancelledError)
    q.put(1)
    assert q.get_nowait() == 1
