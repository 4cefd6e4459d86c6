"""`from fenshen import asyncio`: the whole of asyncio, ours in it, nothing installed."""

from __future__ import annotations

import asyncio as standard
import sys
import warnings

import fenshen
import fenshen.asyncio
import pytest
from commands import PYTHON, needs_native, run
from fenshen import asyncio


def test_it_is_importable_in_every_way() -> None:
    import fenshen.asyncio as same
    from fenshen.asyncio import Queue

    assert same is asyncio is fenshen.asyncio
    assert Queue is asyncio.Queue
    assert run([*PYTHON, "-c", "import fenshen; print(fenshen.asyncio.run)"]).status == 0
    assert run([*PYTHON, "-c", "from fenshen.asyncio import *; print(run, Queue)"]).status == 0


def test_it_has_everything() -> None:
    assert asyncio.__all__ == standard.__all__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name in standard.__all__:
            assert hasattr(asyncio, name), name
    assert set(vars(standard)) <= set(dir(asyncio))
    assert asyncio.tasks.current_task is standard.current_task
    with pytest.raises(AttributeError, match=r"module 'fenshen.asyncio' has no attribute 'nothing'"):
        asyncio.nothing  # noqa: B018
    standard.from_tomorrow = 1  # type: ignore[attr-defined]
    try:
        assert asyncio.from_tomorrow == 1
    finally:
        del standard.from_tomorrow  # type: ignore[attr-defined]


@needs_native
def test_ours_are_in_it_and_the_standard_module_is_as_it_was() -> None:
    from fenshen import _fenshen

    for name in ("Task", "Future", "Queue", "Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore"):
        if hasattr(_fenshen, name):
            assert getattr(asyncio, name) is getattr(_fenshen, name)
            assert getattr(standard, name) is not getattr(_fenshen, name)
    assert asyncio.tasks.Task is asyncio.Task
    assert asyncio.futures.Future is asyncio.Future
    assert sys.modules["asyncio.tasks"].Task is standard.Task
    assert asyncio.CancelledError is standard.CancelledError
    assert asyncio.TimeoutError is standard.TimeoutError
    for name in ("queues", "locks"):
        assert getattr(asyncio, name).__name__ in (f"fenshen.asyncio.{name}", f"asyncio.{name}")


@needs_native
def test_its_submodules_are_importable() -> None:
    code = "from fenshen.asyncio.tasks import Task; import fenshen.asyncio.tasks as t; print(Task.__module__, t.Task)"
    assert run([*PYTHON, "-c", code]) == (0, "fenshen._fenshen <class 'fenshen._fenshen.Task'>\n", "")


async def kind() -> str:
    return type(asyncio.get_running_loop()).__module__


LOOP = "fenshen.loop" if fenshen.engine == "native" else standard.new_event_loop().__module__


def test_it_runs_on_our_loop() -> None:
    assert asyncio.run(kind()) == LOOP
    if hasattr(asyncio, "Runner"):
        with asyncio.Runner() as runner:
            assert runner.run(kind()) == LOOP
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(kind()) == LOOP
    loop.close()
    assert standard.run(kind()) == "asyncio.unix_events"


@needs_native
def test_get_event_loop_makes_ours_where_asyncio_makes_one() -> None:
    text = """if 1:
        import asyncio as standard, warnings
        from fenshen import asyncio
        warnings.simplefilter("ignore")
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError as e:
            print("RuntimeError")
        else:
            print(type(loop).__module__)
            assert asyncio.get_event_loop() is loop is standard.get_event_loop()
            loop.close()
        asyncio.set_event_loop(None)
        loop = standard.new_event_loop()
        print(type(loop).__module__)
        loop.close()"""
    expected = "RuntimeError" if sys.version_info >= (3, 14) else "fenshen.loop"
    assert run([*PYTHON, "-c", text]) == (0, f"{expected}\nasyncio.unix_events\n", "")


def test_get_event_loop_inside_and_with_a_loop_set() -> None:
    async def main() -> bool:
        return asyncio.get_event_loop() is standard.get_running_loop()

    assert asyncio.run(main())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    assert asyncio.get_event_loop() is loop
    asyncio.set_event_loop(None)
    loop.close()


def test_a_program_in_both_dialects() -> None:
    async def main() -> list[int]:
        queue: standard.Queue[int] = asyncio.Queue()
        lock = asyncio.Lock()

        async def worker() -> int:
            async with lock:
                return await queue.get()

        tasks = [asyncio.create_task(worker()), standard.create_task(worker())]
        for n in range(2):
            await queue.put(n)
        assert all(isinstance(task, standard.Task) for task in tasks)
        return list(await asyncio.wait_for(standard.gather(*tasks), 5))

    assert sorted(asyncio.run(main())) == [0, 1]


@needs_native
def test_after_install_and_uninstall_it_is_still_ours() -> None:
    text = """if 1:
        import fenshen
        fenshen.install()
        from fenshen import asyncio
        import asyncio as standard
        same = asyncio.Task is standard.Task
        fenshen.uninstall()
        print(same, asyncio.Task.__module__, standard.Task.__module__)"""
    assert run([*PYTHON, "-c", text]) == (0, "True fenshen._fenshen _asyncio\n", "")
