"""`as_completed`: for futures of ours, the standard library's and both at once."""

from __future__ import annotations

import concurrent.futures
import gc
import threading
import time
import weakref

import pytest

from threads.futures_twins import LIMIT, needs_native, twins
from threads.test_wait import ended

pytestmark = needs_native


@twins()
def test_those_that_are_done(futures) -> None:
    fs = [ended(futures.Future(), how) for how in ("result", "error", "cancelled")]
    got = list(futures.as_completed(fs * 3))
    assert len(got) == 3
    assert set(got) == set(fs)
    assert list(futures.as_completed([])) == []


@twins()
def test_in_the_order_in_which_they_end(futures) -> None:
    fs = [futures.Future() for _ in range(4)]
    order = [2, 0, 3, 1]
    turn = threading.Semaphore(0)

    def end() -> None:
        for i in order:
            turn.acquire(timeout=LIMIT)
            ended(fs[i])

    thread = threading.Thread(target=end)
    thread.start()
    turn.release()
    got = []
    for future in futures.as_completed(fs, LIMIT):
        got.append(fs.index(future))
        turn.release()
    assert got == order
    thread.join()


@twins()
def test_several_that_end_at_once_come_in_order(futures) -> None:
    fs = [futures.Future() for _ in range(5)]
    completed = futures.as_completed(fs, LIMIT)
    ended(fs[0])
    assert next(completed) is fs[0]
    for i in (3, 1, 4, 2):
        ended(fs[i])
    assert [fs.index(f) for f in completed] == [3, 1, 4, 2]


@twins()
@pytest.mark.parametrize("timeout", [0, 0.02])
def test_a_timeout(futures, timeout) -> None:
    one, two = ended(futures.Future()), futures.Future()
    completed = futures.as_completed([one, two], timeout)
    begun = time.monotonic()
    assert next(completed) is one
    with pytest.raises(concurrent.futures.TimeoutError, match=r"^1 \(of 2\) futures unfinished$"):
        next(completed)
    assert time.monotonic() - begun >= timeout
    assert two._waiters == []


@twins()
def test_nothing_is_held_of_what_was_yielded(futures) -> None:
    fs = [ended(futures.Future()) for _ in range(3)] + [futures.Future()]
    threading.Timer(0.05, ended, [fs[-1]]).start()
    completed = futures.as_completed(fs, LIMIT)
    while fs:
        future = next(completed)
        fs.remove(future)
        gone = weakref.ref(future)
        del future
        gc.collect()
        assert gone() is None


@twins()
def test_one_that_is_given_up(futures) -> None:
    fs = [futures.Future() for _ in range(3)]
    ended(fs[0])
    completed = futures.as_completed(fs, LIMIT)
    next(completed)
    completed.close()
    assert fs[1]._waiters == []
    gone = weakref.ref(fs[1])
    del fs, completed
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("which", ["concurrent.futures", "fenshen.futures"])
def test_all_kinds_together(which) -> None:
    from fenshen import futures

    as_completed = {"concurrent.futures": concurrent.futures, "fenshen.futures": futures}[which].as_completed

    class Mine(futures.Future):
        pass

    fs = [kind() for kind in (futures.Future, concurrent.futures.Future, Mine) for _ in range(10)]
    thread = threading.Thread(target=lambda: [ended(f) for f in fs])
    thread.start()
    assert set(as_completed(fs, LIMIT)) == set(fs)
    thread.join()
    assert not any(f._waiters for f in fs)
