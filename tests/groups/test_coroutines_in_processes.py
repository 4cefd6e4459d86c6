"""A coroutine function as a child in another process."""

# ruff: noqa: PT012 - what a group's body does belongs into the block that raises

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from commands import needs_native
from fenshen import TaskGroup
from fenshen.futures import ProcessPoolExecutor

from groups import parts

pytestmark = needs_native


@pytest.fixture(scope="module")
def workers() -> Iterator[Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
        yield pool


async def which_request() -> str:
    await asyncio.sleep(0)
    return parts.request.get()


async def for_ever(folder: str) -> None:
    try:
        Path(folder, "begun").touch()
        await asyncio.sleep(parts.PATIENCE)
    finally:
        Path(folder, "ended").touch()


def test_with_its_result_and_context(workers: Any) -> None:
    async def main() -> None:
        parts.request.set("r4")
        async with TaskGroup(process_pool=workers) as group:
            children = [group.to_process(parts.after_a_step, i) for i in range(20)]
            child = group.to_process(which_request)
        assert [each.result() for each in children] == list(range(20))
        assert child.result() == "r4"

    parts.run(main())


def test_its_failure_is_the_groups(workers: Any) -> None:
    with pytest.raises(parts.ExceptionGroup) as caught, TaskGroup(process_pool=workers) as group:
        group.to_process(parts.fail_soon, "there")
        group.create_task(asyncio.sleep(parts.PATIENCE))
    assert [repr(error) for error in caught.value.exceptions] == ["ValueError('there')"]


def test_it_is_cancelled_there(workers: Any, tmp_path: Path) -> None:
    with TaskGroup(process_pool=workers) as group:
        child = group.to_process(for_ever, str(tmp_path))
        parts.until((tmp_path / "begun").exists)
        group.cancel()
    assert child.cancelled()
    assert (tmp_path / "ended").exists()
