"""Nothing leaks: loops, tasks, futures, handles, descriptors, memory."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import signal
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from fenshen import _fenshen
from fenshen.loop import new_event_loop
from twins import logged, resident, spin

SOAK = bool(os.environ.get("FENSHEN_SOAK"))
ROUNDS = 500 if SOAK else 60
TASKS = 1_000_000 if SOAK else 100_000


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class Thing:
    """Something that can be weakly referenced and have attributes."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


async def nothing() -> None:
    pass


async def busy() -> None:
    """A bit of everything."""
    loop = asyncio.get_running_loop()

    async def child(n: int) -> int:
        await asyncio.sleep(0)
        if n % 5 == 0:
            raise ValueError(n)
        return n

    await asyncio.gather(*map(child, range(20)), return_exceptions=True)
    future = loop.create_future()
    loop.call_later(0.0001, future.set_result, 1)
    await asyncio.wait_for(future, 5)
    await loop.run_in_executor(None, sum, range(10))
    for handle in [loop.call_later(100, print) for _ in range(200)]:
        handle.cancel()
    readable, writable = os.pipe()
    ready = loop.create_future()
    loop.add_reader(readable, lambda: ready.done() or ready.set_result(os.read(readable, 1)))
    os.write(writable, b"x")
    assert await ready == b"x"
    loop.remove_reader(readable)
    os.close(readable)
    os.close(writable)
    came = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, came.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await came.wait()
    task = asyncio.ensure_future(asyncio.sleep(100))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    loop.call_soon(print, "never seen")
    loop.call_later(100, print, "never seen")
    loop.stop()


def one_round() -> None:
    loop = new_event_loop()
    task = loop.create_task(busy())
    loop.run_forever()
    spin(loop) if not task.done() else None
    with contextlib.redirect_stdout(None):
        loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert task.done()
    assert task.exception() is None


def test_rounds_of_new_loop_work_and_close() -> None:
    for _ in range(10):
        one_round()
    gc.collect()
    before, files = resident(), descriptors()
    for _ in range(ROUNDS):
        one_round()
    gc.collect()
    assert descriptors() == files
    assert resident() - before < 3000, "KiB"


def test_a_loop_that_lives_long() -> None:
    async def main(count: int) -> None:
        for _ in range(count // 100):
            await asyncio.gather(*[nothing() for _ in range(50)])
            futures = [asyncio.ensure_future(asyncio.sleep(0)) for _ in range(50)]
            await asyncio.wait(futures)

    loop = new_event_loop()
    loop.run_until_complete(main(20_000))
    gc.collect()
    before = resident()
    loop.run_until_complete(main(TASKS))
    gc.collect()
    after = resident()
    loop.close()
    assert after - before < 2500, "KiB"
    assert _fenshen.live_tasks() == []


def test_references_to_everything_return_to_what_they_were() -> None:
    def callback(*_: Any) -> None:
        pass

    def fails(*_: Any) -> None:
        raise ValueError

    argument, context = object(), contextvars.copy_context()
    loop = new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)

    def work() -> None:
        for function in (callback, fails):
            loop.call_soon(function, argument, context=context)
            loop.call_soon(function, argument).cancel()
            loop.call_soon_threadsafe(function, argument, context=context)
            loop.call_later(0, function, argument, context=context)
            loop.call_later(0, function, argument).cancel()
            loop.call_at(5, function, argument)
            future = loop.create_future()
            future.add_done_callback(function, context=context)
            future.add_done_callback(function)
            future.add_done_callback(function)
            future.remove_done_callback(function)
            future.add_done_callback(function)
            future.set_result(argument)
            future.add_done_callback(function)
            assert future.result() is argument
            repr(future)
            future = loop.create_future()
            future.add_done_callback(function)
            future.cancel(argument)
            for wrong in ((), (None,), (None, None)):
                with contextlib.suppress(TypeError):
                    loop.call_later(*wrong, nonsense=argument)
                with contextlib.suppress(TypeError):
                    loop.call_soon(*wrong, nonsense=argument)
                with contextlib.suppress(TypeError):
                    loop.call_at(argument, *wrong)
                with contextlib.suppress(TypeError):
                    loop.create_task(argument)
        for coroutine in (nothing(), asyncio.sleep(0, argument), asyncio.wait_for(asyncio.sleep(0, argument), 9)):
            task = loop.create_task(coroutine)
            task.add_done_callback(callback, context=context)
            loop.run_until_complete(task)
            with contextlib.suppress(Exception):
                task.set_name(argument)
        task = loop.create_task(asyncio.sleep(100, argument))
        spin(loop)
        task.cancel(argument)
        spin(loop)

    watched = [callback, fails, argument, context, loop, None, True, _fenshen.Task, _fenshen.Future, _fenshen.Handle]
    watched += [_fenshen.TimerHandle, asyncio.CancelledError, nothing]
    for _ in range(30):
        work()
    gc.collect()
    before = [sys.getrefcount(o) for o in watched]
    for _ in range(60):
        work()
    gc.collect()
    after = [sys.getrefcount(o) for o in watched]
    loop.close()
    # Less than one in a round: caches elsewhere may take or leave a few.
    grown = [(o, b, a) for o, b, a in zip(watched, before, after, strict=True) if a - b > 30]
    assert grown == []


def test_no_object_of_ours_stays() -> None:
    kinds = (_fenshen.Task, _fenshen.Future, _fenshen.LoopCore)

    def count() -> int:
        gc.collect()
        return sum(issubclass(type(o), kinds) for o in gc.get_objects())

    before = count()
    for _ in range(5):
        one_round()
    assert count() <= before


# -- Cycles -----------------------------------------------------------------------------------------------------------


def task_in_its_own_frame(loop: Any) -> list[Any]:
    async def waits() -> None:
        future = loop.create_future()
        me = asyncio.current_task()
        await future
        del me

    task = loop.create_task(waits())
    spin(loop)
    task._log_destroy_pending = False
    return [task]


def future_in_its_callback(loop: Any) -> list[Any]:
    future = loop.create_future()
    future.add_done_callback(lambda _: future)
    future.add_done_callback(lambda _: future)
    return [future]


def future_in_its_result(loop: Any) -> list[Any]:
    future, failed = loop.create_future(), loop.create_future()
    future.set_result([future])
    exc = ValueError()
    exc.future = failed  # type: ignore[attr-defined]
    failed.set_exception(exc)
    failed.exception()
    return [future, failed]


def future_in_its_dict(loop: Any) -> list[Any]:
    future = loop.create_future()
    future.itself = future
    return [future]


def callbacks_that_refer_to_the_loop(loop: Any) -> list[Any]:
    thing = Thing()
    loop.call_later(100, lambda: (thing, loop))
    loop.call_soon(lambda: (thing, loop))
    loop.call_soon_threadsafe(lambda: (thing, loop))
    loop.set_exception_handler(lambda *_: (thing, loop))
    loop.set_task_factory(lambda *_: (thing, loop))
    return [thing]


def handles_held_by_what_they_call(loop: Any) -> list[Any]:
    thing = Thing()
    thing.timer = loop.call_later(100, lambda: thing)  # type: ignore[attr-defined]
    return [thing]


def a_handle_that_ran(loop: Any) -> list[Any]:
    thing = Thing()
    loop.thing = thing
    thing.handle = loop.call_soon(lambda: thing)  # type: ignore[attr-defined]
    spin(loop)
    return [thing]


def a_handle_that_the_loop_refers_to(loop: Any) -> list[Any]:
    thing = Thing(loop=loop)
    loop.thing = thing
    thing.handle = loop.call_later(100, print)  # type: ignore[attr-defined]
    return [thing]


def readers_and_writers(loop: Any) -> list[Any]:
    readable, writable = os.pipe()
    thing = Thing(readable=os.fdopen(readable, "rb"), writable=os.fdopen(writable, "wb"))
    loop.add_reader(thing.readable, lambda: thing)  # type: ignore[attr-defined]
    loop.add_writer(thing.writable, lambda: thing)  # type: ignore[attr-defined]
    return [thing]


def a_timeout_in_a_frame(loop: Any) -> list[Any]:
    thing = Thing()

    async def waits() -> None:
        future = loop.create_future()
        thing.timer = loop.call_later(100, future.cancel)  # type: ignore[attr-defined]
        await future

    thing.task = loop.create_task(waits())  # type: ignore[attr-defined]
    spin(loop)
    thing.task._log_destroy_pending = False  # type: ignore[attr-defined]
    return [thing, thing.task]  # type: ignore[attr-defined]


CYCLES: list[Callable[[Any], list[Any]]] = [
    task_in_its_own_frame,
    future_in_its_callback,
    future_in_its_result,
    future_in_its_dict,
    callbacks_that_refer_to_the_loop,
    handles_held_by_what_they_call,
    a_handle_that_ran,
    a_handle_that_the_loop_refers_to,
    readers_and_writers,
    a_timeout_in_a_frame,
]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "dropped"])
@pytest.mark.parametrize("make", CYCLES, ids=lambda make: make.__name__)
def test_cycles_are_collected(make: Callable[[Any], list[Any]], closed: bool) -> None:
    gc.collect()
    files = descriptors()
    with warnings.catch_warnings(), logged():
        warnings.simplefilter("ignore", ResourceWarning)
        loop = new_event_loop()
        references = [weakref.ref(o) for o in make(loop)] + [weakref.ref(loop)]
        if closed:
            loop.close()
        del loop
        gc.collect()
        gc.collect()
        assert [r() for r in references] == [None] * len(references)
        assert descriptors() == files


def test_a_held_timer_outlives_its_loop() -> None:
    loop = new_event_loop()
    timer, soon = loop.call_later(100, print), loop.call_soon(print)
    loop.close()
    for handle in (timer, soon):
        repr(handle)
        handle.cancel()
        assert handle.cancelled()
    del loop
    gc.collect()
    repr(timer)
    assert timer.when() > 0


def forget(things: list[Any]) -> None:
    things.clear()
    gc.collect()


def test_a_loop_dropped_unclosed_warns_and_gives_everything_back() -> None:
    files = descriptors()
    loops = [new_event_loop()]
    loops[0].call_later(5, print)
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        forget(loops)
    assert descriptors() == files


def test_no_descriptors_left() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = descriptors()
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 2, hard))
    try:
        for _ in range(10):
            with pytest.raises(OSError, match="Too many open files"):
                [new_event_loop() for _ in range(20)]
            gc.collect()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    one_round()
    gc.collect()
    assert descriptors() == used
