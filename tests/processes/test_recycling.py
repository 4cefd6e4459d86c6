"""Workers that are replaced between tasks, and pools that get more or fewer of them."""

from __future__ import annotations

import gc
import multiprocessing as mp
import os
import threading
import time

import pytest
from fenshen import futures

LIMIT = 60
METHODS = ("fork", "spawn", "forkserver")
MIB = 1 << 20

kept: list[object] = []


def leak(number: int, size: int) -> tuple[int, int]:
    """Keep that much for ever."""
    kept.append(bytearray(b"x") * size)
    return number, os.getpid()


class Knot:
    """Garbage that only a collection finds."""

    def __init__(self, size: int) -> None:
        self.itself = self
        # One that is freed goes back to the kernel at once.
        self.filling = bytearray(b"x") * size


def litter(size: int) -> int:
    """Leave garbage behind."""
    gc.disable()
    Knot(size)
    return os.getpid()


def take(size: int) -> int:
    """Need much, and let go of it."""
    return len(bytearray(b"x") * size) and os.getpid()


def give(size: int) -> bytes:
    """Return much."""
    return b"x" * size


def wait(path: str, number: int = 0) -> tuple[int, int]:
    """Say that it runs, and run until the file is gone."""
    open(f"{path}-{number}-runs", "w").close()
    end = time.monotonic() + LIMIT
    while os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.005)
    return number, os.getpid()


def until(what) -> None:
    end = time.monotonic() + LIMIT
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


def staying(pool: futures.ProcessPoolExecutor, count: int) -> None:
    """Wait until there are just so many workers."""
    until(lambda: (pool.stats()["workers"], len(pool.stats()["pids"])) == (count, count))


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_whose_tasks_leak_is_replaced_and_no_task_is_lost(method: str) -> None:
    context = mp.get_context(method)
    with futures.ProcessPoolExecutor(1, context, max_memory_growth=80 * MIB) as pool:
        results = [f.result(LIMIT) for f in [pool.submit(leak, i, 32 * MIB) for i in range(16)]]
        assert [number for number, _ in results] == list(range(16))
        # The first task is where growth counts from, and three more are over the limit.
        runs = sorted(sum(pid == each for _, pid in results) for each in {pid for _, pid in results})
        assert runs == [4, 4, 4, 4]
        assert pool.stats()["died"] == 0


def test_what_waits_for_a_worker_that_leaves_goes_to_others() -> None:
    with futures.ProcessPoolExecutor(2, max_memory_growth=4 * MIB) as pool:
        tasks = [pool.submit(leak, i, 8 * MIB if i % 20 == 10 else 10) for i in range(400)]
        results = [f.result(LIMIT) for f in tasks]
        assert [number for number, _ in results] == list(range(400))
        assert len({pid for _, pid in results}) > 4
        assert pool.stats()["died"] == 0
    assert not pool._processes


def test_tasks_that_let_go_of_what_they_took_keep_their_worker() -> None:
    with futures.ProcessPoolExecutor(1, max_memory_growth=32 * MIB) as pool:
        assert len({pool.submit(take, 64 * MIB).result(LIMIT) for _ in range(8)}) == 1
        assert len(pool.submit(give, 64 * MIB).result(LIMIT)) == 64 * MIB
        assert pool.submit(len, b"x" * (64 * MIB)).result(LIMIT) == 64 * MIB
        assert pool.submit(take, 64 * MIB).result(LIMIT) in pool.stats()["pids"]
        assert pool.stats()["recycled"] == 0


def test_garbage_is_collected_before_a_worker_is_given_up() -> None:
    with futures.ProcessPoolExecutor(1, max_memory_growth=64 * MIB) as pool:
        assert len({pool.submit(litter, 48 * MIB).result(LIMIT) for _ in range(8)}) == 1
        assert pool.stats()["recycled"] == 0


def test_bad_limits_are_refused() -> None:
    with pytest.raises(TypeError, match="max_memory_growth must be an integer"):
        futures.ProcessPoolExecutor(1, max_memory_growth=1.5)  # type: ignore[arg-type]
    for number in (0, -1):
        with pytest.raises(ValueError, match="max_memory_growth must be >= 1"):
            futures.ProcessPoolExecutor(1, max_memory_growth=number)


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_grows_and_shrinks_while_tasks_run(method: str, tmp_path) -> None:
    path = str(tmp_path / "gate")
    open(path, "w").close()
    with futures.ProcessPoolExecutor(1, mp.get_context(method)) as pool:
        running = [pool.submit(wait, path, i) for i in range(3)]
        until(lambda: os.path.exists(f"{path}-0-runs"))
        pool.resize(3)
        until(lambda: all(os.path.exists(f"{path}-{i}-runs") for i in range(3)))
        staying(pool, 3)
        assert pool.stats()["max_workers"] == 3
        waiting = [pool.submit(wait, path, i) for i in range(3, 9)]
        pool.resize(1)
        assert pool.stats()["max_workers"] == 1
        assert not any(future.done() for future in running)  # who runs something may end it
        os.unlink(path)
        assert [f.result(LIMIT)[0] for f in running + waiting] == list(range(9))
        staying(pool, 1)
        assert pool.submit(os.getpid).result(LIMIT) in pool.stats()["pids"]
        assert pool.stats()["died"] == pool.stats()["recycled"] == 0
    assert not pool._processes


def test_what_was_sent_to_one_that_is_to_end_is_done_by_those_that_stay(tmp_path) -> None:
    path = str(tmp_path / "gate")
    open(path, "w").close()
    with futures.ProcessPoolExecutor(2) as pool:
        first = pool.submit(wait, path, 0)
        until(lambda: os.path.exists(f"{path}-0-runs"))
        # The other is idle, and the one that ends: the busy one is left, and takes what comes.
        pool.resize(1)
        staying(pool, 1)
        later = [pool.submit(os.getpid) for _ in range(10)]
        os.unlink(path)
        assert {f.result(LIMIT) for f in later} == {first.result(LIMIT)[1]}


def test_many_sizes_in_turn_lose_no_task() -> None:
    with futures.ProcessPoolExecutor(2) as pool:
        stop = threading.Event()

        def change() -> None:
            sizes = [3, 1, 4, 2]
            while not stop.is_set():
                pool.resize(sizes[0])
                sizes.append(sizes.pop(0))
                stop.wait(0.01)

        changing = threading.Thread(target=change)
        changing.start()
        try:
            for _ in range(10):
                assert [f.result(LIMIT) for f in [pool.submit(abs, -i) for i in range(300)]] == list(range(300))
        finally:
            stop.set()
            changing.join(LIMIT)
        pool.resize(2)
        staying(pool, 2)
        assert pool.stats()["died"] == 0


def test_a_pool_that_has_not_started_begins_with_its_new_size() -> None:
    with futures.ProcessPoolExecutor(1) as pool:
        pool.resize(3)
        assert pool.stats()["workers"] == 0
        assert pool.submit(abs, -1).result(LIMIT) == 1
        staying(pool, 3)


def test_workers_with_so_many_tasks_are_replaced_in_the_new_number() -> None:
    with futures.ProcessPoolExecutor(3, mp.get_context("forkserver"), max_tasks_per_child=5) as pool:
        assert list(pool.map(abs, range(40), chunksize=1, timeout=LIMIT)) == list(range(40))
        pool.resize(1)
        assert list(pool.map(abs, range(40), chunksize=1, timeout=LIMIT)) == list(range(40))
        until(lambda: pool.stats()["workers"] <= 1)
        assert pool.stats()["recycled"] >= 12


def test_bad_sizes_are_refused() -> None:
    with futures.ProcessPoolExecutor(1) as pool:
        for size in (0, -1):
            with pytest.raises(ValueError, match="max_workers must be greater than 0"):
                pool.resize(size)
        with pytest.raises(TypeError):
            pool.resize("2")  # type: ignore[arg-type]
        assert pool.stats()["max_workers"] == 1
    with pytest.raises(RuntimeError, match="cannot resize the pool after shutdown"):
        pool.resize(2)


def test_a_pool_that_is_closed_starts_nobody_while_the_last_task_runs(tmp_path) -> None:
    path = str(tmp_path / "gate")
    open(path, "w").close()
    pool = futures.ProcessPoolExecutor(2)
    last = pool.submit(wait, path)
    until(lambda: os.path.exists(f"{path}-0-runs"))
    before = set(pool.stats()["pids"])
    pool.shutdown(wait=False)
    until(lambda: len(pool.stats()["pids"]) == 1)
    for _ in range(20):
        assert set(pool.stats()["pids"]) <= before
        time.sleep(0.01)
    os.unlink(path)
    assert last.result(LIMIT)[1] in before
    pool.shutdown()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_worker_is_replaced_by_one_only_though_a_task_comes_meanwhile(method: str) -> None:
    for _ in range(3):
        with futures.ProcessPoolExecutor(1, mp.get_context(method), max_tasks_per_child=1) as pool:
            first, second = (pool.submit(os.getpid).result(LIMIT) for _ in range(2))
            assert first != second
            assert len(pool.stats()["pids"]) <= 2
            until(lambda: len(pool.stats()["pids"]) <= 1)
