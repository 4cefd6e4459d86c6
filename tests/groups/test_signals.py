"""`TaskGroup(signals=...)`: the first signal gives it its grace, the second ends it."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import fenshen
import pytest
from commands import needs_native
from fenshen import TaskGroup
from fenshen.threading import Event

from groups import parts

pytestmark = needs_native


def told() -> None:
    """End when the program is asked to."""
    while not fenshen.shutdown_requested():
        fenshen.checkpoint()
        time.sleep(0.0005)


def test_the_first_has_it_end_in_order() -> None:
    async def main() -> int:
        async with TaskGroup(signals=[signal.SIGUSR2], grace=parts.PATIENCE) as group:
            child = group.to_thread(told)
            task = group.create_task(fenshen.until_shutdown())
            await asyncio.sleep(0)
            signal.raise_signal(signal.SIGUSR2)
            await fenshen.until_shutdown()
        assert child.result() is None
        return task.result()

    assert parts.run(main()) == signal.SIGUSR2
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
    assert not fenshen.shutdown_requested()


def in_async_with(grace: float, act: Callable[[], None]) -> Any:
    async def main() -> Any:
        async with TaskGroup(signals=[signal.SIGUSR2], grace=grace) as group:
            child = group.to_thread(parts.spin)
            asyncio.get_running_loop().call_soon(act)
            await asyncio.sleep(parts.PATIENCE)
            raise AssertionError("the body goes on")
        return child

    return parts.run(main())


def in_plain_with(grace: float, act: Callable[[], None]) -> Any:
    with TaskGroup(signals=[signal.SIGUSR2], grace=grace) as group:
        child = group.to_thread(parts.spin)
        act()
        Event().wait()
        raise AssertionError("the body goes on")
    return child


each_way = pytest.mark.parametrize("way", [in_async_with, in_plain_with])


@each_way
def test_after_its_grace_it_is_cancelled(way: Callable[..., Any]) -> None:
    child = way(0.02, lambda: signal.raise_signal(signal.SIGUSR2))
    assert child.cancelled()
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL


@each_way
def test_the_second_ends_it_at_once(way: Callable[..., Any]) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGUSR2)
        signal.raise_signal(signal.SIGUSR2)

    assert way(parts.PATIENCE, twice).cancelled()


def test_only_in_the_main_thread() -> None:
    errors = []

    def elsewhere() -> None:
        try:
            with TaskGroup(signals=[signal.SIGUSR2]):
                raise AssertionError("it was entered")
        except ValueError as e:
            errors.append(e)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert not [each for each in threading.enumerate() if each.name.startswith("TaskGroup")]
