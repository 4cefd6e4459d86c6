"""`Future`: the contract of `concurrent.futures.Future`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import copy
import gc
import logging
import pickle
import threading
import traceback
import weakref

import pytest

from threads.futures_twins import LIMIT, needs_native, twins

pytestmark = needs_native


def later(call, *args, **kwargs) -> threading.Thread:
    """A thread that makes a call as soon as it gets to it."""
    thread = threading.Thread(target=call, args=args, kwargs=kwargs)
    thread.start()
    return thread


@twins()
def test_a_new_one(futures) -> None:
    f = futures.Future()
    assert (f.done(), f.running(), f.cancelled()) == (False, False, False)
    assert (f._state, f._result, f._exception) == ("PENDING", None, None)
    assert f._waiters == f._done_callbacks == []
    assert repr(f) == f"<Future at {id(f):#x} state=pending>"


@twins()
def test_a_result(futures) -> None:
    f = futures.Future()
    assert f.set_running_or_notify_cancel()
    assert f.running()
    assert f._state == "RUNNING"
    assert not f.cancel()
    f.set_result([1])
    assert f.result() == f.result(timeout=0) == f.result(None) == [1]
    assert f.exception() is None
    assert f.done()
    assert not f.cancel()
    assert repr(f) == f"<Future at {id(f):#x} state=finished returned list>"


@twins()
def test_an_exception(futures) -> None:
    f = futures.Future()
    error = OSError("no")
    f.set_exception(error)
    assert f.exception() is error
    with pytest.raises(OSError, match=r"^no$") as caught:
        f.result()
    assert caught.value is error
    assert repr(f) == f"<Future at {id(f):#x} state=finished raised OSError>"


@twins()
def test_an_exception_is_raised_in_the_context_of_another(futures) -> None:
    f = futures.Future()
    f.set_exception(KeyError())
    with contextlib.suppress(KeyError):
        try:
            raise ValueError
        except ValueError:
            f.result()
    assert isinstance(f.exception().__context__, ValueError)


@twins()
def test_no_exception_is_a_result_of_none(futures) -> None:
    f = futures.Future()
    f.set_exception(None)
    assert f.result() is f.exception() is None


@twins()
def test_cancelling(futures) -> None:
    f = futures.Future()
    assert f.cancel()
    assert f.cancel()
    assert (f.cancelled(), f.done(), f._state) == (True, True, "CANCELLED")
    assert not f.set_running_or_notify_cancel()
    assert f._state == "CANCELLED_AND_NOTIFIED"
    assert f.cancelled()
    assert f.cancel()
    for wait in (f.result, f.exception):
        with pytest.raises(concurrent.futures.CancelledError) as caught:
            wait()
        assert caught.value.args == ()


@twins()
def test_what_is_done_is_not_done_again(futures) -> None:
    f = futures.Future()
    f.set_result(1)
    for call in (lambda: f.set_result(2), lambda: f.set_exception(ValueError())):
        with pytest.raises(concurrent.futures.InvalidStateError, match=r"FINISHED: <Future at 0x.*returned int>"):
            call()
    assert f.result() == 1


@twins()
def test_starting_twice(futures, caplog) -> None:
    f = futures.Future()
    f.set_running_or_notify_cancel()
    with pytest.raises(RuntimeError, match=r"^Future in unexpected state$"):
        f.set_running_or_notify_cancel()
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("concurrent.futures", "CRITICAL")
    assert record.getMessage() == f"Future {id(f)} in unexpected state: RUNNING"


@twins()
@pytest.mark.parametrize("timeout", [0, 0.0, -1, 1e-9, 0.01])
def test_a_timeout(futures, timeout) -> None:
    f = futures.Future()
    for wait in (f.result, f.exception):
        with pytest.raises(concurrent.futures.TimeoutError) as caught:
            wait(timeout=timeout)
        assert caught.value.args == ()


@twins()
def test_a_timeout_that_is_none(futures) -> None:
    with pytest.raises(TypeError):
        futures.Future().result("soon")
    with pytest.raises(OverflowError):
        futures.Future().result(1e300)


@twins()
@pytest.mark.parametrize("asks_for_the_condition", [False, True])
def test_everybody_who_waits_is_woken(futures, asks_for_the_condition) -> None:
    f = futures.Future()
    if asks_for_the_condition:
        assert f._condition is f._condition
    got: list[object] = []
    threads = [later(lambda: got.append(f.result(LIMIT))) for _ in range(5)]
    f.set_result(3)
    for thread in threads:
        thread.join(LIMIT)
    assert got == [3] * 5


@twins()
def test_a_waiter_sees_that_it_is_cancelled(futures) -> None:
    f = futures.Future()
    seen: list[type] = []

    def wait() -> None:
        try:
            f.result(LIMIT)
        except BaseException as e:
            seen.append(type(e))

    thread = later(wait)
    f.cancel()
    thread.join(LIMIT)
    assert seen == [concurrent.futures.CancelledError]


@twins()
def test_a_program_may_end_one_by_hand(futures) -> None:
    """As `concurrent.futures`' own tests do: the state first, and the rest before the condition is released."""
    f = futures.Future()
    entered = threading.Event()

    def end() -> None:
        entered.wait(LIMIT)
        with f._condition:
            f._state = "FINISHED"
            f._exception = OSError()
            f._condition.notify_all()

    thread = later(end)
    entered.set()
    assert isinstance(f.exception(LIMIT), OSError)
    thread.join(LIMIT)


@twins()
def test_somebody_waits_on_the_condition(futures) -> None:
    f = futures.Future()
    with f._condition:
        thread = later(f.set_result, 1)
        while not f.done():
            assert f._condition.wait(LIMIT)
    thread.join(LIMIT)


@twins()
def test_whoever_holds_the_condition_holds_it_as_it_is(futures) -> None:
    f = futures.Future()
    with f._condition:
        thread = later(f.set_result, 1)
        thread.join(0.05)
        assert f._state == "PENDING"
    thread.join(LIMIT)
    assert f._state == "FINISHED"


@twins()
def test_waiters_are_told(futures) -> None:
    class Waiter:
        def __init__(self) -> None:
            self.told: list[str] = []

        def __getattr__(self, name):
            return lambda future: self.told.append(name)

    waiter = Waiter()
    ends = [lambda f: f.set_result(1), lambda f: f.set_exception(OSError()), lambda f: f.cancel()]
    for end in ends:
        f = futures.Future()
        f._waiters.append(waiter)
        end(f)
        if f.cancelled():
            f.set_running_or_notify_cancel()
    assert waiter.told == ["add_result", "add_exception", "add_cancelled"]


# -- Callbacks --------------------------------------------------------------------------------------------------------


@twins()
@pytest.mark.parametrize("end", ["set_result", "set_exception", "cancel"])
def test_callbacks_are_called_in_order(futures, end) -> None:
    f = futures.Future()
    called: list[tuple[int, object]] = []
    for i in range(3):
        f.add_done_callback(lambda future, i=i: called.append((i, future)))
    assert len(f._done_callbacks) == 3
    getattr(f, end)(*([] if end == "cancel" else [OSError()]))
    assert called == [(0, f), (1, f), (2, f)]
    f.add_done_callback(lambda future: called.append((3, future)))
    assert called[3] == (3, f)


@twins()
def test_a_callback_that_raises_is_logged(futures, caplog) -> None:
    f = futures.Future()
    called: list[object] = []

    def bad(future) -> None:
        raise ValueError("in a callback")

    f.add_done_callback(bad)
    f.add_done_callback(called.append)
    f.set_result(1)
    f.add_done_callback(bad)
    assert called == [f]
    assert len(caplog.records) == 2
    for record in caplog.records:
        assert (record.name, record.levelno) == ("concurrent.futures", logging.ERROR)
        assert record.getMessage() == f"exception calling callback for {f!r}"
        assert isinstance(record.exc_info[1], ValueError)


@twins()
def test_a_callback_that_exits_is_not(futures) -> None:
    f = futures.Future()

    def leave(future) -> None:
        raise SystemExit(3)

    f.add_done_callback(leave)
    with pytest.raises(SystemExit):
        f.set_result(1)
    assert f.result() == 1


@twins()
def test_a_callback_added_by_a_callback_is_called(futures) -> None:
    f = futures.Future()
    called: list[object] = []
    f.add_done_callback(lambda future: future.add_done_callback(called.append))
    f.set_result(1)
    assert called == [f]


@twins()
def test_an_override_of_invoke_callbacks(futures) -> None:
    called: list[object] = []

    class Mine(futures.Future):
        def _invoke_callbacks(self):
            called.append(self)
            super()._invoke_callbacks()

    f, g = Mine(), futures.Future()
    f.add_done_callback(called.append)
    f.set_result(1)
    assert called == [f, f]
    g.set_result(1)


# -- The type ---------------------------------------------------------------------------------------------------------


@twins()
def test_a_subclass(futures) -> None:
    class Mine(futures.Future):
        def __init__(self, tag):
            super().__init__()
            self.tag = tag

        def set_result(self, result):
            super().set_result((self.tag, result))

    f = Mine("t")
    f.set_result(1)
    assert f.result() == ("t", 1)
    assert repr(f).startswith("<Mine at 0x")
    assert isinstance(f, concurrent.futures.Future) == (futures is concurrent.futures)
    assert isinstance(f, futures.Future)


@twins()
def test_what_it_takes(futures) -> None:
    with pytest.raises(TypeError, match="positional argument"):
        futures.Future(1)
    with pytest.raises(TypeError, match="'fn'"):
        futures.Future().add_done_callback()
    with pytest.raises(TypeError):
        futures.Future().set_result()
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(futures.Future())
    with pytest.raises(TypeError, match="cannot pickle"):
        copy.copy(futures.Future()) if futures is not concurrent.futures else pickle.dumps(futures.Future())
    assert futures.Future[int].__args__ == (int,)


@twins()
def test_it_has_room_for_attributes_and_weak_references(futures) -> None:
    f = futures.Future()
    f.tag = 1
    assert vars(f)["tag"] == 1
    gone = weakref.ref(f)
    f.me = f
    f.add_done_callback(lambda future, f=f: None)
    del f
    gc.collect()
    assert gone() is None


def test_each_is_an_instance_of_the_other() -> None:
    from fenshen.futures import Future

    ours, theirs = Future(), concurrent.futures.Future()
    assert isinstance(ours, concurrent.futures.Future)
    assert ours.__class__ is concurrent.futures.Future
    assert isinstance(theirs, Future)
    assert issubclass(concurrent.futures.Future, Future)
    assert not isinstance(1, Future)


def test_no_condition_is_made_for_those_that_wait() -> None:
    from fenshen.futures import Future

    f = Future()
    thread = later(f.result, LIMIT)
    f.set_result(1)
    thread.join(LIMIT)
    made: list[object] = []
    original = threading.Condition
    threading.Condition = lambda *args: made.append(1) or original(*args)  # type: ignore[misc, assignment]
    try:
        assert f.result() == 1
        assert made == []
        assert f._condition is f._condition
        assert made == [1]
    finally:
        threading.Condition = original  # type: ignore[misc]


@twins()
def test_the_traceback_grows_by_what_raised_it(futures) -> None:
    def deep() -> None:
        raise ValueError("deep")

    f = futures.Future()
    try:
        deep()
    except ValueError as e:
        f.set_exception(e)
    with pytest.raises(ValueError, match="deep") as caught:
        f.result()
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[0] == "test_the_traceback_grows_by_what_raised_it"
    assert names[-1] == "deep"


@twins()
def test_asyncio_takes_one_made_by_hand(futures) -> None:
    async def main() -> list[object]:
        one, two, three = (futures.Future() for _ in range(3))
        wrapped = [asyncio.wrap_future(f) for f in (one, two, three)]
        later(one.set_result, 1)
        later(two.set_exception, KeyError())
        later(three.cancel)
        return await asyncio.gather(*wrapped, return_exceptions=True)

    one, two, three = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert one == 1
    assert isinstance(two, KeyError)
    assert isinstance(three, asyncio.CancelledError)
