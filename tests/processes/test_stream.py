"""Streams of `ProcessPoolExecutor`: items in order, no further ahead than asked for, and an end that is always told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import multiprocessing as mp
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fenshen
import pytest
from fenshen.futures import CancelledError, NotLoaded, ProcessPoolExecutor, Stream, TimeoutError, WorkerDied

from tests.processes import pooling, streaming

LIMIT = 60
METHODS = ("fork", "spawn", "forkserver")


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2) as made:
        yield made


@pytest.fixture
def notes(tmp_path: Path) -> str:
    return str(tmp_path / "notes")


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.01)


def closed(notes: str) -> bool:
    return streaming.noted(notes)[-1:] == ["closed"]


def rest(stream: Any) -> tuple[list[Any], BaseException | None]:
    """Everything that is left, and what is raised then."""
    items = []
    try:
        for item in stream:
            items.append(item)
    except Exception as exc:
        return items, exc
    return items, None


# -- Items ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_items_come_in_order_and_the_value_last(method: str) -> None:
    with ProcessPoolExecutor(1, mp.get_context(method)) as pool:
        stream = pool.stream(streaming.count, 1000)
        assert isinstance(stream, Stream)
        assert stream.value is None
        assert list(stream) == list(range(1000))
        assert stream.value == 1000
        assert list(stream) == []
        assert pool.submit(pooling.square, 3).result(LIMIT) == 9


def test_yield_from_gives_the_value(pool: ProcessPoolExecutor) -> None:
    def doubled() -> Iterator[int]:
        value = yield from pool.stream(streaming.count, 3)
        yield -value

    assert list(doubled()) == [0, 1, 2, -3]


def test_any_call_that_returns_an_iterable_will_do(pool: ProcessPoolExecutor) -> None:
    assert list(pool.stream(range, 5)) == list(range(5))
    assert list(pool.stream(lambda n: (x * x for x in range(n)), 4)) == [0, 1, 4, 9]
    assert list(pool.stream(itertools.repeat, "x", times=3)) == ["x"] * 3
    assert list(pool.stream(list)) == []
    with pytest.raises(TypeError, match="not iterable"):
        next(pool.stream(pooling.square, 1))
    with pytest.raises(TypeError, match="not iterable"):
        next(pool.stream(streaming.asynchronous))


def test_a_generator_function_that_is_submitted_fails_as_ever(pool: ProcessPoolExecutor) -> None:
    with pytest.raises(TypeError, match="cannot pickle 'generator' object") as caught:
        pool.submit(streaming.count, 3).result(LIMIT)
    assert "stream()" in "".join(getattr(caught.value, "__notes__", ["stream()"]))


def test_large_arrays_are_those_of_their_yield(pool: ProcessPoolExecutor) -> None:
    pytest.importorskip("numpy")
    kept = list(pool.stream(streaming.arrays, 100, 60_000))  # more than may be mapped at a time
    for i, array in enumerate(kept):
        assert (array == i).all()
        array += 1


def test_several_threads_share_a_stream(pool: ProcessPoolExecutor) -> None:
    stream, parts = pool.stream(streaming.count, 2000), [[], [], []]
    threads = [threading.Thread(target=lambda part=part: part.extend(stream)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert sorted(itertools.chain(*parts)) == list(range(2000))
    assert all(part == sorted(part) for part in parts)


# -- How far ahead ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 16])
def test_a_worker_runs_no_further_ahead_than_asked_for(pool: ProcessPoolExecutor, notes: str, size: int) -> None:
    with pool.with_options(buffersize=size).stream(streaming.endless, notes) as stream:
        until(lambda: len(streaming.noted(notes)) == size)
        for taken in range(1, 3 * size + 2):
            assert next(stream) == taken - 1
            assert len(streaming.noted(notes)) <= taken + size
        until(lambda: len(streaming.noted(notes)) > 3 * size + size // 2)
    assert closed(notes)


def test_buffersize_is_checked(pool: ProcessPoolExecutor) -> None:
    with pytest.raises(ValueError, match="buffersize must be > 0"):
        pool.with_options(buffersize=0)
    with pytest.raises(ValueError, match="buffersize"):
        pool.with_options(buffersize=2**31).stream(streaming.count, 1)
    with pytest.raises(TypeError, match="integer"):
        pool.with_options(buffersize=1.5)  # type: ignore[arg-type]


def test_tasks_do_not_wait_behind_a_stream_that_nobody_takes(pool: ProcessPoolExecutor, notes: str) -> None:
    assert list(pool.map(pooling.square, range(2000), chunksize=1)) == [x * x for x in range(2000)]
    with pool.stream(streaming.endless, notes):
        until(lambda: streaming.noted(notes))
        futures = [pool.submit(pooling.square, x) for x in range(200)]
        assert [f.result(LIMIT) for f in futures] == [x * x for x in range(200)]


def test_the_only_worker_is_the_streams_until_it_is_closed(notes: str) -> None:
    with ProcessPoolExecutor(1) as pool:
        stream = pool.stream(streaming.endless, notes)
        assert next(stream) == 0
        behind, cancelled = pool.submit(pooling.square, 2), pool.submit(pooling.square, 3)
        assert cancelled.cancel()
        assert not behind.done()
        stream.close()
        assert behind.result(LIMIT) == 4


# -- What is raised ---------------------------------------------------------------------------------------------------


def test_an_exception_comes_after_the_items_before_it(pool: ProcessPoolExecutor) -> None:
    stream = pool.stream(streaming.fail_after, 40)
    items, exc = rest(stream)
    assert items == list(range(40))
    assert isinstance(exc, ZeroDivisionError)
    assert "in fail_after" in str(exc.__cause__)
    assert rest(stream) == ([], None)


def test_a_death_comes_after_the_items_that_have_arrived(pool: ProcessPoolExecutor, notes: str) -> None:
    items, exc = rest(pool.with_options(retries=3).stream(streaming.die_after, 5, notes))
    assert items == list(range(5))
    assert isinstance(exc, WorkerDied)
    assert exc.exitcode == -signal.SIGKILL
    assert list(pool.map(pooling.square, range(10))) == [x * x for x in range(10)]


def test_what_died_before_its_first_item_is_run_again(pool: ProcessPoolExecutor, notes: str) -> None:
    assert rest(pool.with_options(retries=1).stream(streaming.die_after, 0, notes)) == ([], None)
    assert os.path.exists(notes)


@pytest.mark.parametrize("loadable", [True, False])
def test_an_item_that_cannot_be_sent_ends_the_generator(pool: ProcessPoolExecutor, notes: str, loadable: bool) -> None:
    items, exc = rest(pool.stream(streaming.odd_item, notes, loadable))
    assert items == [1]
    assert isinstance(exc, TypeError if loadable else NotLoaded)
    until(lambda: closed(notes))


def test_what_cannot_be_pickled_fails_the_stream(pool: ProcessPoolExecutor) -> None:
    with pytest.raises(TypeError):
        next(pool.stream(streaming.count, threading.Lock()))


def test_the_time_limit_is_for_all_of_it(pool: ProcessPoolExecutor) -> None:
    items, exc = rest(pool.with_options(timeout=1.0).stream(streaming.ticks))
    assert items == list(range(len(items)))
    assert isinstance(exc, TimeoutError)


# -- The end ----------------------------------------------------------------------------------------------------------


def test_close_has_the_generator_clean_up(pool: ProcessPoolExecutor, notes: str) -> None:
    stream = pool.stream(streaming.endless, notes)
    assert next(stream) == 0
    stream.close()
    assert closed(notes)
    stream.close()
    assert rest(stream) == ([], None)
    assert stream.value is None


def test_close_raises_what_the_generator_raises_of_it(pool: ProcessPoolExecutor) -> None:
    stream = pool.stream(streaming.stubborn)
    next(stream)
    with pytest.raises(LookupError, match="closed") as caught:
        stream.close()
    assert "in stubborn" in str(caught.value.__cause__)
    stream.close()


def test_what_was_raised_ahead_is_forgotten_by_close(pool: ProcessPoolExecutor) -> None:
    with pool.stream(streaming.fail_after, 3) as stream:
        assert next(stream) == 0


def test_a_stream_that_is_lost_ends_its_generator(pool: ProcessPoolExecutor, notes: str) -> None:
    for _ in pool.stream(streaming.endless, notes):
        break
    gc.collect()
    until(lambda: closed(notes))


def test_one_that_is_closed_before_it_began_never_runs(notes: str, tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as pool:
        go = tmp_path / "go"
        busy = pool.submit(streaming.wait_for, str(go))
        streams = [pool.stream(streaming.endless, notes) for _ in range(3)]
        until(busy.running)
        for stream in streams:
            stream.close()
        go.touch()
        busy.result(LIMIT)
        assert pool.submit(pooling.square, 5).result(LIMIT) == 25
    assert streaming.noted(notes) == []


def test_shutdown_ends_streams(tmp_path: Path) -> None:
    notes = [str(tmp_path / f"notes{i}") for i in range(3)]
    with ProcessPoolExecutor(2) as pool:
        streams = [pool.stream(streaming.endless, path) for path in notes]
        assert [next(stream) for stream in streams[:2]] == [0, 0]
    for stream in streams:
        items, exc = rest(stream)
        assert items == list(range(1, len(items) + 1))
        assert isinstance(exc, CancelledError)
    assert [closed(path) for path in notes] == [True, True, False]


@pytest.mark.parametrize("end", ["kill_workers", "terminate_workers"])
def test_killing_the_workers_ends_streams(notes: str, end: str) -> None:
    with ProcessPoolExecutor(1) as pool:
        running, waiting = pool.stream(streaming.endless, notes), pool.stream(streaming.count, 1)
        assert next(running) == 0
        getattr(pool, end)()
        assert isinstance(rest(running)[1], (WorkerDied, CancelledError))
        assert isinstance(rest(waiting)[1], CancelledError)


def test_a_stream_keeps_its_pool() -> None:
    stream = ProcessPoolExecutor(1).stream(streaming.count, 100)
    gc.collect()
    pids = set(stream._pool.stats()["pids"])
    assert len(pids) == 1
    assert list(stream) == list(range(100))
    del stream
    gc.collect()
    until(lambda: not pids & {process.pid for process in mp.active_children()})


def test_a_stream_counts_as_pending(notes: str) -> None:
    with ProcessPoolExecutor(2, max_pending=1) as pool:
        for _ in range(3):  # it would wait for ever if one of them were still counted
            assert list(pool.stream(streaming.count, 2)) == [0, 1]
            pool.stream(streaming.endless, notes).close()
            assert isinstance(rest(pool.stream(streaming.count, threading.Lock()))[1], TypeError)
        assert pool.submit(pooling.square, 3).result(LIMIT) == 9


def test_a_wait_can_be_interrupted(pool: ProcessPoolExecutor) -> None:
    stream = pool.with_options(timeout=LIMIT).stream(streaming.ticks)

    def interrupt() -> None:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    def take() -> None:
        threading.Thread(target=interrupt).start()
        for _ in stream:
            pass

    with pytest.raises(KeyboardInterrupt):
        take()
    stream.close()


# -- On a loop --------------------------------------------------------------------------------------------------------

RUNNERS = pytest.mark.parametrize("run", [asyncio.run, fenshen.run], ids=["asyncio", "fenshen"])


@RUNNERS
def test_async_for(pool: ProcessPoolExecutor, run: Callable[..., Any]) -> None:
    async def main() -> None:
        stream = pool.stream(streaming.count, 500)
        assert [item async for item in stream] == list(range(500))
        assert stream.value == 500
        with pytest.raises(ZeroDivisionError):
            async for _ in pool.stream(streaming.fail_after, 2):
                pass

    run(asyncio.wait_for(main(), LIMIT))


@RUNNERS
def test_aclose(pool: ProcessPoolExecutor, notes: str, run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with pool.stream(streaming.endless, notes) as stream:
            async for item in stream:
                if item == 20:
                    break
        assert closed(notes)
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()
        stubborn = pool.stream(streaming.stubborn)
        await stubborn.__anext__()
        with pytest.raises(LookupError):
            await stubborn.aclose()

    run(asyncio.wait_for(main(), LIMIT))


@RUNNERS
def test_a_task_that_waits_can_be_cancelled_and_nothing_is_lost(
    pool: ProcessPoolExecutor, run: Callable[..., Any]
) -> None:
    async def main() -> None:
        items = []
        async with pool.stream(streaming.ticks) as stream:
            while len(items) < 10:
                with contextlib.suppress(asyncio.TimeoutError):
                    items.append(await asyncio.wait_for(stream.__anext__(), 0.005))
        assert items == list(range(10))

    run(asyncio.wait_for(main(), LIMIT))
