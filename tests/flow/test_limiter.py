"""`Limiter`: so many threads and tasks at once, in one line."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import fenshen
import pytest
from fenshen.flow import Limiter

from flow.sides import PATIENCE, auntil, each_loop, until


def in_thread(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def waiting(limiter: Limiter) -> int:
    """How many stand in the line."""
    return len(limiter._turns._line)


def test_it_counts() -> None:
    limiter = Limiter(2)
    assert repr(limiter) == "<Limiter 0 of 2 taken>"
    with limiter, limiter:
        assert limiter.taken == 2
        assert not limiter.acquire(timeout=0)
        assert not limiter.acquire(timeout=0.01)
    assert limiter.taken == 0
    with pytest.raises(ValueError, match="released too many times"):
        limiter.release()


def test_threads_and_tasks_of_two_loops_together() -> None:
    limiter, lock, inside, most, total = Limiter(3), threading.Lock(), 0, 0, 0

    def enter() -> None:
        nonlocal inside, most, total
        with lock:
            inside += 1
            total += 1
            most = max(most, inside)

    def leave() -> None:
        nonlocal inside
        with lock:
            inside -= 1

    def by_thread() -> None:
        for _ in range(200):
            with limiter:
                enter()
                leave()

    async def by_task() -> None:
        for _ in range(200):
            async with limiter:
                enter()
                await asyncio.sleep(0)
                leave()

    async def by_tasks() -> None:
        await asyncio.gather(*[by_task() for _ in range(4)])

    threads = [in_thread(by_thread) for _ in range(4)]
    threads += [in_thread(lambda run=run: run(by_tasks())) for run in (asyncio.run, fenshen.run)]  # type: ignore[misc]
    for thread in threads:
        thread.join(PATIENCE)
    assert total == 12 * 200
    assert most <= 3
    assert limiter.taken == 0
    assert not waiting(limiter)


@each_loop
def test_first_come_first_served(run: Callable[[Any], Any]) -> None:
    limiter, order = Limiter(1), []

    def by_thread(number: int) -> None:
        with limiter:
            order.append(number)

    async def by_task(number: int) -> None:
        async with limiter:
            order.append(number)

    async def main() -> None:
        async with limiter:
            ends: list[Any] = []
            for number in range(6):
                if number % 2:
                    ends.append(asyncio.ensure_future(by_task(number)))
                else:
                    ends.append(asyncio.ensure_future(asyncio.to_thread(by_thread, number)))
                await auntil(lambda number=number: waiting(limiter) == number + 1)  # type: ignore[misc]
            assert order == []
        await asyncio.gather(*ends)
        assert order == list(range(6))

    run(main())


@each_loop
def test_nobody_overtakes_those_who_wait(run: Callable[[Any], Any]) -> None:
    async def main() -> None:
        limiter = Limiter(1)
        await limiter.aacquire()
        waits = asyncio.ensure_future(limiter.aacquire())
        await auntil(lambda: waiting(limiter) == 1)
        limiter.release()
        assert not limiter.acquire(timeout=0)
        await waits
        limiter.release()
        assert limiter.acquire(timeout=0)

    run(main())


@each_loop
def test_cancelled_tasks_leave_the_line(run: Callable[[Any], Any]) -> None:
    async def main() -> None:
        limiter = Limiter(1)
        await limiter.aacquire()
        tasks = [asyncio.ensure_future(limiter.aacquire()) for _ in range(3)]
        await auntil(lambda: waiting(limiter) == 3)
        tasks[0].cancel()
        await auntil(lambda: waiting(limiter) == 2)
        limiter.release()  # the second has it from now on, and is cancelled before it knows
        tasks[1].cancel()
        await tasks[2]
        assert limiter.taken == 1
        assert [task.cancelled() for task in tasks] == [True, True, False]
        limiter.release()

    run(main())


def test_timeouts_leave_the_line() -> None:
    limiter = Limiter(1)
    with limiter:
        assert not limiter.acquire(timeout=0.01)
        assert not waiting(limiter)
        results: list[bool] = []
        thread = in_thread(lambda: results.append(limiter.acquire(timeout=PATIENCE)))
        until(lambda: waiting(limiter) == 1)
    thread.join(PATIENCE)
    assert results == [True]


def test_loop_that_ended_does_not_keep_a_place() -> None:
    limiter = Limiter(1)
    limiter.acquire()
    loop = asyncio.new_event_loop()
    task = loop.create_task(limiter.aacquire())
    loop.run_until_complete(asyncio.sleep(0))
    assert waiting(limiter) == 1
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    limiter.release()
    assert limiter.taken == 0
    assert not waiting(limiter)
    with limiter:
        del task
        gc.collect()  # which closes the coroutine where it waited
        assert limiter.taken == 1


@each_loop
def test_blocking_a_running_loop_is_refused(run: Callable[[Any], Any]) -> None:
    limiter = Limiter(1)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="aacquire"):
            limiter.acquire()
        with pytest.raises(RuntimeError, match="async with"), limiter:
            pass
        assert limiter.acquire(timeout=0)
        limiter.release()

    run(main())
    assert limiter.taken == 0


def test_keys_have_places_of_their_own() -> None:
    limiter = Limiter(1)
    with limiter.key("a"), limiter.key("b"), limiter:
        assert limiter.key("a").taken == 1
        assert not limiter.key("a").acquire(timeout=0)
        assert limiter.key("c").acquire(timeout=0)
    gc.collect()
    assert limiter.key("c").taken == 1
    limiter.key("c").release()


def test_key_is_needed_where_there_is_one_for_each() -> None:
    limiter = Limiter(1, per_key=True)
    with pytest.raises(RuntimeError, match="per key"), limiter:
        pass
    with pytest.raises(RuntimeError, match="per key"):
        limiter.acquire()
    with limiter.key("a"):
        pass


def test_what_is_no_limit() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limiter(0)
