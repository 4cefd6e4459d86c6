"""`with TaskGroup()`: from a script, a thread, or a thread whose loop runs."""

# ruff: noqa: PT012 - what a group's body does belongs into the block that raises

from __future__ import annotations

import asyncio
import signal
import threading
import time
from concurrent import futures
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import fenshen
import pytest
from commands import needs_native
from fenshen import TaskGroup
from fenshen.threading import Event, Lock

from groups import parts

pytestmark = needs_native


def test_every_child_has_a_handle(processes: Any) -> None:
    with TaskGroup(process_pool=processes) as group:
        children = [
            group.create_task(parts.after_a_step(1), name="first"),
            group.to_thread(parts.double, 2),
            group.to_process(parts.double, 4),
        ]
        assert [child.result() for child in children] == [1, 4, 8]
    assert [child.name for child in children] == ["first", "double", "double"]


def test_the_coroutines_run_on_one_loop_in_another_thread() -> None:
    async def where() -> tuple[int, Any]:
        return threading.get_ident(), asyncio.get_running_loop()

    with TaskGroup() as group:
        first, second = group.create_task(where()), group.create_task(where())
    assert first.result() == second.result()
    assert first.result()[0] != threading.get_ident()
    assert isinstance(first.result()[1], fenshen.EventLoop)
    assert first.result()[1].is_closed()


def test_in_a_thread_whose_loop_runs() -> None:
    async def main() -> int:
        with TaskGroup() as group:
            child = group.create_task(parts.after_a_step(7))
            assert child.result() == 7
        return await child

    assert parts.run(main()) == 7


@pytest.mark.parametrize("wait", ["checkpoint", "event", "lock", "result"])
def test_the_first_failure_ends_the_body(wait: str) -> None:
    held = Lock()
    held.acquire()
    with pytest.raises(parts.ExceptionGroup) as caught, TaskGroup() as group:
        other = group.create_task(asyncio.sleep(parts.PATIENCE))
        group.to_thread(parts.fail, "it")
        if wait == "checkpoint":
            parts.spin()
        elif wait == "event":
            Event().wait()
        elif wait == "lock":
            held.acquire()
        else:
            other.result()
        raise AssertionError("the body goes on")
    assert [repr(error) for error in caught.value.exceptions] == ["ValueError('it')"]
    assert other.cancelled()


def test_a_failing_body_cancels_all(processes: Any, tmp_path: Path) -> None:
    with pytest.raises(parts.ExceptionGroup) as caught, TaskGroup(process_pool=processes) as group:
        children = [
            group.create_task(asyncio.sleep(parts.PATIENCE)),
            group.to_thread(parts.wait_for_ever),
            group.to_process(parts.sleep_for_ever, str(tmp_path), "pid"),
        ]
        raise OSError("the body's")
    assert [type(error) for error in caught.value.exceptions] == [OSError]
    assert all(child.cancelled() for child in children)


def test_the_deadline_ends_body_and_children() -> None:
    with pytest.raises(TimeoutError), TaskGroup(timeout=0.05) as group:
        children = [group.create_task(asyncio.sleep(parts.PATIENCE)), group.to_thread(parts.spin)]
        Event().wait()
    assert all(child.cancelled() for child in children)


def test_a_deadline_beside_failures() -> None:
    def stubborn() -> None:
        try:
            parts.wait_for_ever()
        finally:
            raise ValueError("cleaning up failed")

    with pytest.raises(parts.ExceptionGroup) as caught, TaskGroup(timeout=0.02) as group:
        group.to_thread(stubborn)
    assert [type(e) for e in caught.value.exceptions] == [ValueError, TimeoutError]


def test_cancel_ends_the_block_and_raises_nothing() -> None:
    with TaskGroup() as group:
        child = group.to_thread(parts.spin)
        group.create_task(asyncio.sleep(parts.PATIENCE))
        group.cancel()
        Event().wait()
        raise AssertionError("the body goes on")
    assert child.cancelled()


def test_cancelled_before_it_begins() -> None:
    group = TaskGroup()
    group.cancel()
    with group:
        fenshen.checkpoint()
        raise AssertionError("the body goes on")
    fenshen.checkpoint()


def test_a_group_in_a_thread_of_a_group() -> None:
    inner_children = []

    def inner() -> None:
        with TaskGroup() as group:
            inner_children.append(group.to_thread(parts.spin))
            inner_children.append(group.create_task(asyncio.sleep(parts.PATIENCE)))

    with TaskGroup() as group:
        outer = group.to_thread(inner)
        parts.until(lambda: len(inner_children) == 2)
        group.cancel()
    assert outer.cancelled()
    assert all(child.cancelled() for child in inner_children)


def test_a_body_that_is_cancelled_by_the_outer_group() -> None:
    with TaskGroup() as outer:
        with pytest.raises(CancelledError), TaskGroup() as inner:
            child = inner.to_thread(parts.spin)
            outer.cancel()
        assert child.cancelled()
        Event().wait(0)  # it was raised, and that was all


def test_ctrl_c_ends_all_and_goes_on() -> None:
    begun = threading.Event()

    def press() -> None:
        begun.wait(parts.PATIENCE)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt), TaskGroup() as group:
        child = group.to_thread(parts.spin)
        coroutine = group.create_task(asyncio.sleep(parts.PATIENCE))
        begun.set()
        Event().wait()
    presser.join()
    assert child.cancelled()
    assert coroutine.cancelled()


def test_nothing_is_left_of_it() -> None:
    before = set(threading.enumerate())
    with TaskGroup(timeout=parts.PATIENCE) as group:
        group.create_task(parts.after_a_step(1))
        group.to_thread(parts.double, 1)
    assert set(threading.enumerate()) <= before


@pytest.mark.fenshen_leaks(tasks=False)
def test_tasks_that_the_children_left_behind_are_cancelled() -> None:
    left: list[asyncio.Task[Any]] = []

    async def leaves_one() -> None:
        left.append(asyncio.ensure_future(asyncio.sleep(parts.PATIENCE)))

    with TaskGroup() as group:
        group.create_task(leaves_one())
    assert left[0].cancelled()


def test_coroutines_begin_children() -> None:
    async def grows() -> int:
        inner = group.create_task(parts.after_a_step(1))
        thread = group.to_thread(parts.double, 2)
        return await inner + await thread

    with TaskGroup() as group:
        child = group.create_task(grows())
    assert child.result() == 5


def test_result_times_out() -> None:
    with TaskGroup() as group:
        child = group.to_thread(parts.spin)
        began = time.monotonic()
        with pytest.raises(futures.TimeoutError):  # the built-in one from Python 3.11 on
            child.result(timeout=0.02)
        assert time.monotonic() - began >= 0.02
        assert child.cancel()
    with pytest.raises(CancelledError):
        child.result()
    with pytest.raises(CancelledError):
        child.exception()


@pytest.mark.parametrize("no_coroutine", [parts.double, 3, None])
def test_what_is_no_coroutine_is_refused_at_once(no_coroutine: Any) -> None:
    with TaskGroup() as group, pytest.raises(TypeError, match="a coroutine was expected, got"):
        group.create_task(no_coroutine)


def test_a_task_factory_that_fails_ends_the_group() -> None:
    def factory(loop: Any, coro: Any, **options: Any) -> Any:
        if coro.__name__ == "after_a_step":
            raise ValueError("no task")
        return asyncio.Task(coro, loop=loop, **options)

    async def set_factory() -> None:
        asyncio.get_running_loop().set_task_factory(factory)

    with pytest.raises(BaseException, match="unhandled errors") as caught, TaskGroup() as group:
        group.create_task(set_factory()).result(parts.PATIENCE)
        group.create_task(parts.after_a_step(1))
    assert str(caught.value.exceptions[0]) == "no task"  # type: ignore[attr-defined]


@pytest.mark.fenshen_leaks(tasks=False)  # its loop ends at once, and then they do
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_coroutine_that_ends_the_program(error: type[BaseException]) -> None:
    cleaned = []

    async def stays() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.append(1)

    async def ends() -> None:
        await asyncio.sleep(0)
        raise error(5)

    with pytest.raises(error) as caught, TaskGroup() as group:
        other = group.create_task(stays())
        group.create_task(ends())
    assert caught.value.args == (5,)
    assert other.cancelled()
    assert cleaned == [1]
