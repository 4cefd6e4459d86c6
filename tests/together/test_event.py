"""The laws of `fenshen.Event`, where it is shared and where it is not."""

from __future__ import annotations

import asyncio

import fenshen
import pytest
from on_loops import each_loop, run

from together.sides import PATIENCE, blocked, either, needs_native

pytestmark = needs_native


@either
def test_set_and_cleared(shared):
    event = fenshen.Event(shared=shared)
    assert (event.is_set(), event.wait(0), event.wait(0.01), event.shared) == (False, False, False, shared)
    assert f"{event!r}".endswith(": unset>")
    event.set()
    assert (event.is_set(), event.wait(), event.wait(0)) == (True, True, True)
    assert f"{event!r}".endswith(": set>")
    event.clear()
    assert not event.is_set()


@either
@each_loop
def test_threads_and_tasks_wait_for_it(factory, shared):
    event = fenshen.Event(shared=shared)

    async def main():
        async def wait():
            return await event

        assert await event.await_set(0.01) is False
        tasks = [asyncio.ensure_future(wait()), asyncio.ensure_future(event.await_set(PATIENCE))]
        await asyncio.sleep(0)
        with blocked(event.wait) as thread:
            event.set()
            event.clear()
            assert await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE) == [True, True]
            assert thread.result(PATIENCE) is True
        event.set()
        assert await event is True

    run(main(), factory)


@either
@each_loop
def test_a_blocking_call_does_not_stop_a_loop(factory, shared):
    event = fenshen.Event(shared=shared)

    async def main():
        with pytest.raises(RuntimeError, match=r"Event.wait\(\) would block .* `await event`"):
            event.wait()
        task = asyncio.ensure_future(event.await_set())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        event.set()
        assert event.wait() is True

    run(main(), factory)
