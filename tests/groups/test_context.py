"""Context variables travel to each child, and what a child sets stays there."""

from __future__ import annotations

import contextvars
from typing import Any

from commands import needs_native
from fenshen import TaskGroup, _carried

from groups import parts

pytestmark = needs_native


async def which_request() -> str:
    found = parts.request.get()
    parts.request.set("the child's")
    return found


def which_then_set() -> str:
    found = parts.request.get()
    parts.request.set("the child's")
    return found


def test_to_every_kind_in_async_with(processes: Any) -> None:
    async def main() -> None:
        parts.request.set("r1")
        async with TaskGroup(process_pool=processes) as group:
            children = [
                group.create_task(which_request()),
                group.to_thread(which_then_set),
                group.to_process(parts.which_request),
            ]
        assert [child.result() for child in children] == ["r1", "r1", "r1"]
        assert parts.request.get() == "r1"

    parts.run(main())


def test_to_every_kind_in_plain_with(processes: Any) -> None:
    def body() -> None:
        parts.request.set("r2")
        with TaskGroup(process_pool=processes) as group:
            children = [
                group.create_task(which_request()),
                group.to_thread(which_then_set),
                group.to_process(parts.which_request),
            ]
        assert [child.result() for child in children] == ["r2", "r2", "r2"]
        assert parts.request.get() == "r2"

    contextvars.copy_context().run(body)


def test_a_context_of_ones_own() -> None:
    own = contextvars.copy_context()
    own.run(parts.request.set, "mine")
    with TaskGroup() as group:
        child = group.create_task(which_request(), context=own)
    assert child.result() == "mine"


def test_a_value_that_cannot_be_pickled_keeps_nothing_else_back(processes: Any) -> None:
    def body() -> None:
        parts.request.set("r3")
        parts.unpicklable.set(lambda: None)
        nameless = contextvars.ContextVar[int]("nameless")
        nameless.set(1)
        assert [place[1] for place in _carried.pick()].count("request") == 1
        with TaskGroup(process_pool=processes) as group:
            child = group.to_process(parts.which_request)
        assert child.result() == "r3"

    contextvars.copy_context().run(body)


def test_nothing_is_left_in_the_worker(processes: Any) -> None:
    contextvars.copy_context().run(test_to_every_kind_in_plain_with, processes)
    with TaskGroup(process_pool=processes) as group:
        children = [group.to_process(parts.which_request) for _ in range(4)]
    assert {child.result() for child in children} == {"none"}
