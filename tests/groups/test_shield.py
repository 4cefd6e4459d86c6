"""`shield`: the group waits for it, and does not cancel it."""

# ruff: noqa: PT012 - what a group's body does belongs into the block that raises

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from commands import needs_native
from fenshen import TaskGroup, shield

from groups import parts

pytestmark = needs_native


def test_a_shielded_handle_runs_to_its_end(processes: Any) -> None:
    gate = threading.Event()
    with TaskGroup(process_pool=processes) as group:
        child = group.to_thread(gate.wait, parts.PATIENCE)
        assert shield(child) is child
        other = group.to_thread(parts.spin)
        group.cancel()
        parts.until(other.done)
        assert not child.done()
        gate.set()
    assert child.result() is True
    assert other.cancelled()


def test_a_shielded_handle_can_be_cancelled_by_itself() -> None:
    with TaskGroup() as group:
        child = shield(group.to_thread(parts.spin))
        group.cancel()
        assert child.cancel()
    assert child.cancelled()


def test_a_shielded_task() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        async with TaskGroup() as group:
            task = group.create_task(gate.wait())
            protected = shield(task)
            group.cancel()
            asyncio.get_running_loop().call_later(0.01, gate.set)
            with pytest.raises(asyncio.CancelledError):
                await protected
        assert task.result() is True

    parts.run(main())


def test_cleaning_up_by_a_shielded_coroutine() -> None:
    ended = []

    async def clean() -> None:
        await asyncio.sleep(0.01)
        ended.append("clean")

    async def child() -> None:
        try:
            await asyncio.sleep(parts.PATIENCE)
        finally:
            await shield(clean())

    async def main() -> None:
        async with TaskGroup() as group:
            task = group.create_task(child())
            await asyncio.sleep(0)
            group.cancel()
            asyncio.get_running_loop().call_later(0.005, task.cancel)  # not even so
        assert ended == ["clean"]
        assert task.cancelled()

    parts.run(main())


def test_the_error_of_a_shielded_coroutine_is_not_lost() -> None:
    async def fails() -> None:
        await asyncio.sleep(0.01)
        raise ValueError("late")

    async def child() -> None:
        await shield(fails())

    async def main() -> None:
        with pytest.raises(parts.ExceptionGroup) as caught:
            async with TaskGroup() as group:
                task = group.create_task(child())
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                group.cancel()
        assert [str(error) for error in caught.value.exceptions] == ["late"]
        assert task.cancelled()

    parts.run(main())


def test_who_awaits_a_shielded_coroutine_has_its_error() -> None:
    async def main() -> str:
        async with TaskGroup():
            with pytest.raises(ValueError, match="seen"):
                await shield(parts.fail_soon("seen"))
        return "went on"

    assert parts.run(main()) == "went on"


def test_outside_of_groups_it_is_asyncios() -> None:
    async def main() -> int:
        return await shield(parts.after_a_step(3))

    assert parts.run(main()) == 3
    with pytest.raises(TypeError, match="something else to await is required"):
        shield(1)
