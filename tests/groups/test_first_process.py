"""The first worker process of a group's children: a loop turns while it is started."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from commands import needs_native
from fenshen import TaskGroup
from fenshen.futures import BrokenExecutor, ProcessPoolExecutor

from groups import parts

pytestmark = needs_native


class Start:
    """How first workers are started in these tests: only once `gate` is open, and by whom is known."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.threads: list[int] = []
        self.errors: list[OSError] = []

    def wrap(self, start: Callable[..., None]) -> Callable[..., None]:
        def wrapped(supervisor: Any, workers: int) -> None:
            self.threads.append(threading.get_ident())
            assert self.gate.wait(parts.PATIENCE)
            if self.errors:
                raise self.errors.pop()
            start(supervisor, workers)

        return wrapped


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    from fenshen._supervisor import Supervisor

    start = Start()
    monkeypatch.setattr(Supervisor, "start", start.wrap(Supervisor.start))
    return start


@pytest.fixture
def pool() -> Iterator[Any]:
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        yield pool


@pytest.mark.parametrize("function", [parts.double, parts.after_a_step])
def test_is_started_by_another_thread(start: Start, pool: Any, function: Callable[[int], Any]) -> None:
    async def main() -> list[Any]:
        async with TaskGroup(process_pool=pool) as group:
            children = [group.to_process(function, i) for i in range(8)]
            await asyncio.sleep(0)
            start.gate.set()
        return [child.result() for child in children]

    assert parts.run(main()) == [parts.double(i) if function is parts.double else i for i in range(8)]
    assert len(start.threads) == 1
    assert start.threads[0] != threading.get_ident()


def test_is_followed_by_as_many_as_are_needed(start: Start, pool: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with TaskGroup(process_pool=pool) as group:
            children = [group.to_process(parts.sleep_for_ever, str(tmp_path), str(i)) for i in range(2)]
            start.gate.set()
            while len(pool.stats()["pids"]) < 2:
                await asyncio.sleep(0.001)
            for child in children:
                child.cancel()

    parts.run(main())


def test_what_is_cancelled_meanwhile_is_never_done(start: Start, pool: Any, tmp_path: Path) -> None:
    async def main() -> Any:
        async with TaskGroup(process_pool=pool) as group:
            cancelled = group.to_process((tmp_path / "done").touch)
            child = group.to_process(parts.double, 2)
            assert cancelled.cancel()
            start.gate.set()
        return child.result()

    assert parts.run(main()) == 4
    assert not (tmp_path / "done").exists()


def test_that_cannot_be_started_fails_its_children_and_no_later_ones(start: Start, pool: Any) -> None:
    error = OSError("no more processes")
    start.gate.set()
    start.errors.append(error)

    async def main() -> Any:
        with pytest.raises(parts.ExceptionGroup) as caught:
            async with TaskGroup(process_pool=pool) as group:
                group.to_process(parts.double, 1)
        (failure,) = caught.value.exceptions
        assert isinstance(failure, BrokenExecutor)
        assert failure.__cause__ is error
        async with TaskGroup(process_pool=pool) as group:
            child = group.to_process(parts.double, 2)
        return child.result()

    assert parts.run(main()) == 4


def test_is_waited_for_by_who_shuts_the_pool_down(start: Start) -> None:
    pool = ProcessPoolExecutor(1, mp_context=get_context("forkserver"))

    async def main() -> Any:
        async with TaskGroup(process_pool=pool) as group:
            child = group.to_process(parts.double, 2)
            ended = asyncio.ensure_future(asyncio.to_thread(pool.shutdown))
            while not pool._shutdown_thread:
                await asyncio.sleep(0.001)
            start.gate.set()
        await ended
        return child.result()

    assert parts.run(main()) == 4


def test_a_pool_with_its_own_submit_is_asked_by_that() -> None:
    class Counting(ProcessPoolExecutor):
        calls = 0

        def submit(self, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return super().submit(*args, **kwargs)

    async def main() -> Any:
        async with TaskGroup(process_pool=pool) as group:
            child = group.to_process(parts.double, 2)
        return child.result()

    with Counting(1, mp_context=get_context("forkserver")) as pool:
        assert parts.run(main()) == 4
        assert pool.calls == 1
