"""`wait`: for futures of ours, the standard library's and both at once."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION

import pytest

from threads.futures_twins import LIMIT, needs_native, twins

pytestmark = needs_native


def ended(future, how: str = "result"):
    """A future that is done."""
    if how == "cancelled":
        future.cancel()
        future.set_running_or_notify_cancel()
    elif how == "error":
        future.set_exception(OSError())
    else:
        future.set_result(1)
    return future


@twins()
@pytest.mark.parametrize("return_when", [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION])
def test_all_are_done(futures, return_when) -> None:
    fs = [ended(futures.Future(), how) for how in ("result", "error", "cancelled")]
    outcome = futures.wait(fs * 2, return_when=return_when)
    assert type(outcome) is concurrent.futures._base.DoneAndNotDoneFutures
    assert outcome.done == set(fs)
    assert outcome.not_done == set()


@twins()
def test_none(futures) -> None:
    assert futures.wait([]) == (set(), set())
    assert futures.wait(iter(())) == (set(), set())


@twins()
def test_what_it_refuses(futures) -> None:
    with pytest.raises(ValueError, match=r"^Invalid return condition: 'SOON'$"):
        futures.wait([futures.Future()], return_when="SOON")
    with pytest.raises(AttributeError):
        futures.wait([1])
    with pytest.raises(TypeError):
        futures.wait(futures.Future())


@twins()
def test_the_first(futures) -> None:
    one, two, three = (futures.Future() for _ in range(3))
    timer = threading.Timer(0.02, ended, [two])
    timer.start()
    assert futures.wait([one, two, three], LIMIT, FIRST_COMPLETED) == ({two}, {one, three})
    assert futures.wait([one, two, three], LIMIT, FIRST_COMPLETED) == ({two}, {one, three})
    timer.join()
    assert one._waiters == two._waiters == three._waiters == []


@twins()
def test_the_first_exception(futures) -> None:
    one, two, three = (futures.Future() for _ in range(3))
    ended(one)
    timers = [threading.Timer(0.01, ended, [two]), threading.Timer(0.03, ended, [three, "error"])]
    for timer in timers:
        timer.start()
    four = futures.Future()
    done, left = futures.wait([one, two, three, four], LIMIT, FIRST_EXCEPTION)
    assert three in done
    assert left == {four}
    assert futures.wait([three, four], LIMIT, FIRST_EXCEPTION) == ({three}, {four})
    for timer in timers:
        timer.join()


@twins()
def test_a_cancelled_one_is_done_when_its_executor_knows(futures) -> None:
    one, two = futures.Future(), futures.Future()
    one.cancel()
    assert futures.wait([one], 0.01) == (set(), {one})
    timers = [threading.Timer(0.01, one.set_running_or_notify_cancel), threading.Timer(0.02, ended, [two])]
    for timer in timers:
        timer.start()
    assert futures.wait([one, two], LIMIT) == ({one, two}, set())
    for timer in timers:
        timer.join()


@twins()
def test_a_timeout(futures) -> None:
    one, two = ended(futures.Future()), futures.Future()
    begun = time.monotonic()
    assert futures.wait([one, two], 0.05) == ({one}, {two})
    assert time.monotonic() - begun >= 0.05
    assert futures.wait([one, two], 0) == ({one}, {two})
    assert futures.wait([one, two], -1) == ({one}, {two})


@pytest.mark.parametrize("wait", ["concurrent.futures", "fenshen.futures"])
@pytest.mark.parametrize("return_when", [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION])
def test_all_kinds_together(wait, return_when) -> None:
    """Ours, the standard library's and a subclass that keeps its waiters itself, under either `wait`."""
    from fenshen import futures

    class Kept(futures.Future):
        _waiters = None  # an attribute of each

        def __init__(self):
            super().__init__()
            self.__dict__["kept"] = []
            type(self)._waiters = property(lambda self: self.__dict__["kept"])

        def set_result(self, result):
            with self._condition:
                self._result = result
                self._state = "FINISHED"
                for waiter in self._waiters:
                    waiter.add_result(self)
                self._condition.notify_all()

    waits = {"concurrent.futures": concurrent.futures.wait, "fenshen.futures": futures.wait}
    fs = [futures.Future(), concurrent.futures.Future(), Kept()]
    timers = [threading.Timer(0.01 * i, ended, [f]) for i, f in enumerate(fs)]
    for timer in timers:
        timer.start()
    done, left = waits[wait](fs, LIMIT, return_when)
    assert done | left == set(fs)
    assert done
    assert return_when == FIRST_COMPLETED or not left
    for timer in timers:
        timer.join()
    assert not any(f._waiters for f in fs)


@twins()
def test_many_that_end_while_they_are_entered(futures) -> None:
    for _ in range(50):
        fs = [futures.Future() for _ in range(50)]
        thread = threading.Thread(target=lambda fs=fs: [ended(f) for f in fs])
        thread.start()
        assert futures.wait(fs, LIMIT) == (set(fs), set())
        thread.join()
