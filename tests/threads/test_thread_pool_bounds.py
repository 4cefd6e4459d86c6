"""`ThreadPoolExecutor(max_pending=)`: a pool whose submitters wait for it."""

from __future__ import annotations

import queue
import threading

import pytest

from threads.futures_twins import LIMIT, needs_native
from threads.test_thread_pool import Busy, until

pytestmark = needs_native


def test_a_bounded_queue_that_waits() -> None:
    from fenshen.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, max_pending=2) as pool:
        submitted: list[int] = []

        def submit():
            for i in range(5):
                pool.submit(submitted.append, -1)
                submitted.append(i)

        with Busy(pool):
            thread = threading.Thread(target=submit)
            thread.start()
            until(lambda: submitted == [0, 1])
            thread.join(0.05)
            assert pool._work_queue.qsize() == 2
            assert submitted == [0, 1]
        thread.join(LIMIT)
    assert [i for i in submitted if i >= 0] == [0, 1, 2, 3, 4]


def test_a_bounded_queue_that_raises() -> None:
    from fenshen.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2, max_pending=2, block=False) as pool:
        with Busy(pool, 2):
            pool.submit(int)
            future = pool.submit(int)
            with pytest.raises(queue.Full):
                pool.submit(int)
            assert future.cancel()
            with pytest.raises(queue.Full):
                pool.submit(int)
        until(lambda: pool._work_queue.empty())
        assert pool.submit(dict, block=1).result(LIMIT) == {"block": 1}
    for bad in (0, -1):
        with pytest.raises(ValueError, match="max_pending"):
            ThreadPoolExecutor(max_pending=bad)


def test_a_submitter_that_waits_learns_of_the_shutdown() -> None:
    from fenshen.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1, max_pending=1)
    errors: list[BaseException] = []

    def submit():
        try:
            pool.submit(int)
        except BaseException as e:
            errors.append(e)

    with Busy(pool):
        pool.submit(int)
        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        threads[0].join(0.05)
        pool.shutdown(wait=False)
        for thread in threads:
            thread.join(LIMIT)
    pool.shutdown()
    assert [str(e) for e in errors] == ["cannot schedule new futures after shutdown"] * 3
