"""`async with TaskGroup()`: children of three kinds, failures, cancellation and deadlines."""

# ruff: noqa: PT012 - what a group's body does belongs into the block that raises

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import fenshen
import pytest
from commands import needs_native
from fenshen import TaskGroup

from groups import parts

pytestmark = needs_native


def test_children_of_three_kinds(processes: Any) -> None:
    async def main() -> None:
        async with TaskGroup(process_pool=processes) as group:
            task = group.create_task(parts.after_a_step(1), name="first")
            thread = group.to_thread(parts.double, 2)
            process = group.to_process(parts.double, 4)
            assert await thread == 4
            assert thread.name == "double"
        assert isinstance(task, asyncio.Task)
        assert task.get_name() == "first"
        assert (task.result(), thread.result(), process.result(), await process) == (1, 4, 8, 8)
        assert process.done()
        assert not process.cancelled()
        assert process.exception() is None

    parts.run(main())


def test_processes_without_a_pool() -> None:
    async def main() -> int:
        async with TaskGroup() as group:
            child = group.to_process(parts.double, 21)
        return child.result()

    assert parts.run(main()) == 42


@pytest.mark.parametrize("kind", ["task", "thread", "process"])
def test_the_first_failure_cancels_all(kind: str, processes: Any, tmp_path: Path) -> None:
    async def main() -> None:
        waiting = asyncio.Event()
        with pytest.raises(parts.ExceptionGroup) as caught:
            async with TaskGroup(process_pool=processes) as group:
                others: list[Any] = [
                    group.create_task(waiting.wait()),
                    group.to_thread(parts.spin),
                    group.to_thread(parts.wait_for_ever),
                    group.to_process(parts.sleep_for_ever, str(tmp_path), "pid"),
                ]
                while not (tmp_path / "pid").exists():
                    await asyncio.sleep(0.001)
                if kind == "task":
                    group.create_task(parts.fail_soon("it"))
                else:
                    (group.to_thread if kind == "thread" else group.to_process)(parts.fail, "it")
                await waiting.wait()
        assert [repr(error) for error in caught.value.exceptions] == ["ValueError('it')"]
        assert all(other.cancelled() for other in others)
        pid = int((tmp_path / "pid").read_text())
        parts.until(lambda: not parts.is_alive(pid))

    parts.run(main())


def test_every_error_is_in_the_group(processes: Any) -> None:
    async def main() -> None:
        gate = threading.Event()

        def late() -> None:
            gate.wait(parts.PATIENCE)
            raise KeyError("late")

        async def at_the_end() -> None:
            try:
                await asyncio.sleep(parts.PATIENCE)
            finally:
                gate.set()
                raise LookupError("on the way out")

        with pytest.raises(parts.ExceptionGroup) as caught:
            async with TaskGroup(process_pool=processes) as group:
                thread = group.to_thread(late)
                group.create_task(at_the_end())
                await asyncio.sleep(0)
                raise OSError("the body's")
        assert sorted(type(e).__name__ for e in caught.value.exceptions) == ["KeyError", "LookupError", "OSError"]
        assert isinstance(thread.exception(), KeyError)

    parts.run(main())


@pytest.mark.fenshen_leaks(tasks=False)  # nobody waits for the end of what it ends
def test_keyboard_interrupt_goes_on_as_itself() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        async with TaskGroup() as group:
            group.create_task(asyncio.sleep(parts.PATIENCE))
            group.to_thread(interrupted)

    with pytest.raises(KeyboardInterrupt):
        parts.run(main())


@pytest.mark.parametrize("option", ["timeout", "deadline"])
def test_the_deadline_ends_all(option: str, processes: Any, tmp_path: Path) -> None:
    async def main() -> None:
        limit = {"timeout": 0.05} if option == "timeout" else {"deadline": time.monotonic() + 0.05}
        with pytest.raises(TimeoutError):
            async with TaskGroup(process_pool=processes, **limit) as group:
                children = [
                    group.create_task(asyncio.sleep(parts.PATIENCE)),
                    group.to_thread(parts.spin),
                    group.to_process(parts.sleep_for_ever, str(tmp_path), "pid"),
                ]
                await asyncio.sleep(parts.PATIENCE)
        assert all(child.cancelled() for child in children)
        assert asyncio.current_task().cancelling() == 0 if hasattr(asyncio.Task, "cancelling") else True

    parts.run(main())


def test_a_deadline_beside_failures() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(parts.PATIENCE)
        finally:
            raise ValueError("cleaning up failed")

    async def main() -> None:
        with pytest.raises(parts.ExceptionGroup) as caught:
            async with TaskGroup(timeout=0.02) as group:
                group.create_task(stubborn())
        assert [type(e) for e in caught.value.exceptions] == [ValueError, TimeoutError]

    parts.run(main())


def test_a_deadline_that_does_not_come() -> None:
    async def main() -> None:
        async with TaskGroup(timeout=parts.PATIENCE) as group:
            group.create_task(parts.after_a_step(1))
        await asyncio.sleep(0)

    parts.run(main())


@pytest.mark.parametrize("where", ["body", "child", "thread", "before"])
def test_cancel_ends_the_block_and_raises_nothing(where: str) -> None:
    async def main() -> None:
        group = TaskGroup()
        if where == "before":
            group.cancel()
        async with group:
            if where != "before":
                child = group.create_task(asyncio.sleep(parts.PATIENCE))
                await asyncio.sleep(0)
            if where == "body":
                group.cancel("enough")
            elif where == "child":
                asyncio.get_running_loop().call_soon(group.cancel, "enough")
            elif where == "thread":
                threading.Thread(target=group.cancel, args=("enough",)).start()
            await asyncio.sleep(parts.PATIENCE)
            raise AssertionError("the body goes on")
        if where != "before":
            assert child.cancelled()
        await asyncio.sleep(0)  # and nothing is left of it

    parts.run(main())


def test_cancel_at_the_very_end_leaves_nothing_behind() -> None:
    async def main() -> str:
        async with TaskGroup() as group:
            group.cancel()
        await asyncio.sleep(0)
        return "went on"

    assert parts.run(main()) == "went on"


def test_cancellation_from_outside_goes_on() -> None:
    async def block(begun: asyncio.Event, children: list[Any]) -> None:
        async with TaskGroup() as group:
            children.append(group.to_thread(parts.spin))
            begun.set()

    async def main() -> None:
        begun, children = asyncio.Event(), []
        task = asyncio.ensure_future(block(begun, children))
        await begun.wait()
        task.cancel("from outside")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert children[0].cancelled()

    parts.run(main())


def test_a_cancelled_handle_harms_nobody_else(processes: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with TaskGroup(process_pool=processes) as group:
            thread = group.to_thread(parts.spin)
            process = group.to_process(parts.sleep_for_ever, str(tmp_path), "pid")
            other = group.to_thread(parts.double, 3)
            assert thread.cancel()
            assert process.cancel()
            with pytest.raises(asyncio.CancelledError):
                await thread
        assert thread.cancelled()
        assert process.cancelled()
        assert not thread.cancel()
        assert other.result() == 6

    parts.run(main())


def test_who_awaits_a_handle_and_is_cancelled_cancels_it() -> None:
    async def main() -> None:
        async with TaskGroup() as group:
            thread = group.to_thread(parts.spin)

            async def waits() -> None:
                await thread

            task = group.create_task(waits())
            await asyncio.sleep(0)
            task.cancel()
        assert thread.cancelled()
        assert task.cancelled()

    parts.run(main())


def test_result_does_not_hold_up_the_loop() -> None:
    async def main() -> None:
        async with TaskGroup() as group:
            gate = threading.Event()
            thread = group.to_thread(gate.wait, parts.PATIENCE)
            with pytest.raises(RuntimeError, match="await the handle"):
                thread.result()
            gate.set()
            assert await thread is True

    parts.run(main())


def test_children_begin_children_from_threads() -> None:
    async def main() -> None:
        def work() -> int:
            inner = group.to_thread(parts.double, 1)
            coroutine = group.create_task(parts.after_a_step(3))
            return inner.result() + coroutine.result()

        async with TaskGroup() as group:
            outer = group.to_thread(work)
        assert outer.result() == 5

    parts.run(main())


def test_nested_groups_end_from_without() -> None:
    async def main() -> None:
        ended = []

        async def inner() -> None:
            try:
                async with TaskGroup() as group:
                    group.to_thread(parts.spin)
                    await asyncio.sleep(parts.PATIENCE)
            finally:
                ended.append("inner")

        with pytest.raises(TimeoutError):
            async with TaskGroup(timeout=0.05) as group:
                group.create_task(inner())
        assert ended == ["inner"]

    parts.run(main())


def test_a_group_is_entered_once() -> None:
    async def main() -> None:
        group = TaskGroup(name="twice")
        with pytest.raises(RuntimeError, match="has not been entered"):
            group.to_thread(parts.double, 1)
        async with group:
            assert repr(group) == "<TaskGroup 'twice' entered>"
        with pytest.raises(RuntimeError, match="already been entered"):
            async with group:
                pass
        with pytest.raises(RuntimeError, match="is finished"):
            group.to_process(parts.double, 1)

    parts.run(main())


def test_threads_of_its_own_end_with_it() -> None:
    async def main() -> None:
        async with TaskGroup(name="short-lived") as group:
            for i in range(5):
                group.to_thread(parts.double, i)

    parts.run(main())
    parts.until(lambda: not any(t.name.startswith("short-lived") for t in threading.enumerate()))


def test_what_cannot_be_pickled_is_the_childs_error(processes: Any) -> None:
    async def main() -> None:
        with pytest.raises(parts.ExceptionGroup) as caught:
            async with TaskGroup(process_pool=processes) as group:
                group.to_process(parts.double, threading.Lock())
        assert isinstance(caught.value.exceptions[0], TypeError)

    parts.run(main())


def test_on_a_loop_of_asyncios() -> None:
    async def main() -> list[Any]:
        async with TaskGroup() as group:
            children = [group.create_task(parts.after_a_step(1)), group.to_thread(parts.double, 1)]
        return [child.result() for child in children]

    loop = asyncio.SelectorEventLoop()
    try:
        assert loop.run_until_complete(main()) == [1, 2]
    finally:
        loop.close()


def test_public_names() -> None:
    assert {"TaskGroup", "checkpoint", "shield"} <= set(fenshen.__all__)
    assert fenshen.checkpoint() is None
