"""What is made with `shared=True`, in other processes: by every start method, in pools, and where one is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from queue import Empty

import fenshen
import pytest
from fenshen import multiprocessing
from fenshen.futures import ProcessPoolExecutor
from fenshen.queue import ShutDown
from on_loops import run
from processes.sides import our_contexts, started

from together.sides import PATIENCE, begin, blocked, needs_native, until

pytestmark = needs_native


def _double(there, back):
    for item in there:
        back.put(2 * item)
    back.shutdown()


def _double_by_tasks(there, back):
    async def main():
        async for item in there:
            await back.aput(2 * item)
        back.shutdown()

    asyncio.run(main())


@our_contexts
@pytest.mark.parametrize("child", [_double, _double_by_tasks], ids=["thread", "task"])
def test_items_go_there_and_back(ctx, child):
    there, back = fenshen.Queue(4, shared=True), fenshen.Queue(shared=True)
    with started(ctx, child, (there, back)):
        for i in range(200):
            there.put(i, timeout=PATIENCE)
        there.shutdown()
        got = []
        while len(got) < 200:
            got.append(back.get(timeout=PATIENCE))
        assert got == [2 * i for i in range(200)]
        with pytest.raises(ShutDown):
            back.get(timeout=PATIENCE)


def _hand_over(event, semaphore, queue):
    event.wait(PATIENCE)
    with semaphore:
        queue.put(os.getpid())
    queue.task_done()


@our_contexts
def test_events_and_semaphores(ctx):
    event, semaphore, queue = fenshen.Event(shared=True), fenshen.Semaphore(0, shared=True), fenshen.Queue(shared=True)
    with started(ctx, _hand_over, (event, semaphore, queue)) as (child,):
        pid = child.pid
        with pytest.raises(Empty):
            queue.get(timeout=0.05)
        event.set()
        with pytest.raises(Empty):
            queue.get(timeout=0.05)
        semaphore.release()
        assert queue.get(timeout=PATIENCE) == pid
        assert queue.join(PATIENCE)
        child.join(PATIENCE)
        assert (child.exitcode, semaphore.value) == (0, 1)


def _pass(queue, event, semaphore):
    with semaphore:
        queue.put("from a worker")
    event.set()
    return queue


def test_as_arguments_and_results_of_pool_tasks():
    queue, event, semaphore = fenshen.Queue(shared=True), fenshen.Event(shared=True), fenshen.Semaphore(shared=True)
    with ProcessPoolExecutor(1) as pool:
        again = pool.submit(_pass, queue, event, semaphore).result(PATIENCE)
        assert event.wait(PATIENCE)
        assert again.get(timeout=PATIENCE) == "from a worker"
        again.put("through the other")
        assert queue.get(timeout=PATIENCE) == "through the other"


def test_as_items_of_each_other():
    outer, inner = fenshen.Queue(shared=True), fenshen.Queue(shared=True)
    outer.put(inner)
    outer.get(timeout=PATIENCE).put(1)
    assert inner.get(timeout=PATIENCE) == 1


def _get(queue):
    queue.get(timeout=PATIENCE)


def _aget(queue):
    async def main():
        await queue.aget(PATIENCE)

    asyncio.run(main())


@pytest.mark.parametrize("child", [_get, _aget], ids=["thread", "task"])
def test_a_process_that_is_killed_as_it_waits_takes_nothing_along(child):
    queue = fenshen.Queue(shared=True)
    with started(multiprocessing.get_context("fork"), child, (queue,)) as (killed,):
        time.sleep(0.3)
        os.kill(killed.pid, signal.SIGSTOP)
        with blocked(queue.get, timeout=PATIENCE) as got:
            # It may have been stopped amid a change of the line, and then this waits for its end.
            put = begin(queue.put, "x")
            time.sleep(0.05)
            os.kill(killed.pid, signal.SIGKILL)
            assert (put.result(PATIENCE), got.result(PATIENCE)) == (None, "x")

    async def main():
        return await queue.aget(PATIENCE)

    with started(multiprocessing.get_context("fork"), child, (queue,)) as (killed,):
        time.sleep(0.3)
        os.kill(killed.pid, signal.SIGSTOP)
        put = begin(queue.put, "y")
        time.sleep(0.05)
        os.kill(killed.pid, signal.SIGKILL)
        assert (put.result(PATIENCE), run(main())) == (None, "y")
    assert queue.empty()


def _put_and_get(queue, own, begun):
    begun.set()
    for i in range(10**9):
        queue.put((own, i))
        queue.get()


def test_kill_at_random_loses_nothing_of_the_others():
    ctx = multiprocessing.get_context("fork")
    queue = fenshen.Queue(8, shared=True)
    for _ in range(5):
        begun = fenshen.Event(shared=True)
        with started(ctx, _put_and_get, (queue, 1, begun), (queue, 2, begun)) as children:
            assert begun.wait(PATIENCE)
            for i in range(100):
                queue.put(("mine", i), timeout=PATIENCE)
                queue.get(timeout=PATIENCE)
            for child in children:
                os.kill(child.pid, signal.SIGKILL)
                child.join()
        # Whatever is left is whole, and the queue works on.
        while not queue.empty():
            assert len(queue.get(timeout=PATIENCE)) == 2
        for i in range(8):
            queue.put(i, timeout=PATIENCE)
        assert queue.full()
        assert [queue.get(timeout=PATIENCE) for _ in range(8)] == list(range(8))


def test_a_forked_child_leaves_the_places_of_its_parents_tasks_alone():
    queue = fenshen.Queue(shared=True)

    async def main():
        waiting = asyncio.ensure_future(queue.aget(PATIENCE))
        await asyncio.sleep(0.01)
        child = os.fork()
        if child == 0:
            del waiting
            os._exit(0)
        until(lambda: os.waitpid(child, os.WNOHANG)[0] == child)
        queue.put("x")
        return await waiting

    assert run(main()) == "x"


def test_a_shared_one_leaves_no_descriptor():
    def count():
        return len(os.listdir("/proc/self/fd"))

    def use():
        queue, event, semaphore = fenshen.Queue(shared=True), fenshen.Event(shared=True), fenshen.Semaphore(shared=True)
        queue.put(1)
        event.set()
        with semaphore:
            queue.get()

    use()
    before = count()
    for _ in range(20):
        use()
    assert count() == before


def _put_many(queue, count):
    for i in range(count):
        queue.put((i, "x" * 50))


@our_contexts
def test_a_process_ends_when_all_that_it_has_put_is_in_shared_memory(ctx):
    queue = fenshen.Queue(shared=True)
    with started(ctx, _put_many, (queue, 10_000)) as (child,):
        until(lambda: queue.qsize() > 8_000)
        assert [queue.get(timeout=PATIENCE)[0] for _ in range(10_000)] == list(range(10_000))
        child.join(PATIENCE)
        assert child.exitcode == 0
