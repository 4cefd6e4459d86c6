"""`sleep`, with asyncio's contract."""

from __future__ import annotations

import asyncio
import fractions
import sys
import time

import pytest
from fenshen._fenshen import sleep
from on_loops import each_loop, run, turns


@each_loop
def test_delay_and_result(factory):
    async def main():
        began = time.monotonic()
        assert await sleep(0.02, "result") == "result"
        assert time.monotonic() - began >= 0.019
        assert await sleep(0.001) is None
        assert await sleep(fractions.Fraction(1, 1000), (1, 2)) == (1, 2)
        assert await sleep(delay=0.001, result=StopIteration(1)) is not None

    run(main(), factory)


@each_loop
@pytest.mark.parametrize("delay", [0, 0.0, -1, -0.5, False])
def test_no_delay_is_one_turn(factory, delay):
    async def main():
        seen = []

        async def other():
            seen.append("other")

        task = asyncio.ensure_future(other())
        assert await sleep(delay, 3) == 3
        assert seen == ["other"]
        await task

    run(main(), factory)


@each_loop
def test_cancelled(factory):
    async def main():
        for delay in (0, 30):
            task = asyncio.ensure_future(sleep(delay))
            await asyncio.sleep(0)
            task.cancel("message")
            with pytest.raises(asyncio.CancelledError):
                await task

    began = time.monotonic()
    run(main(), factory)
    assert time.monotonic() - began < 10


def test_cancelled_timers_do_not_pile_up():
    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(1000):
            task = loop.create_task(sleep(1000))
            await asyncio.sleep(0)
            task.cancel()
            await turns(1)
        return loop._pending

    pending = run(main())
    assert int(pending.split(" timers")[0].rsplit(" ", 1)[1]) < 300


def test_what_is_no_delay():
    async def main():
        with pytest.raises(ValueError, match="NaN"):
            await sleep(float("nan"))
        with pytest.raises(TypeError):
            await sleep("1")
        with pytest.raises(TypeError):
            await sleep(None)
        with pytest.raises(TypeError):
            sleep()
        with pytest.raises(TypeError):
            sleep(1, 2, 3)

    run(main())


def test_no_loop_runs():
    with pytest.raises(RuntimeError, match="no running event loop"):
        sleep(1).send(None)
    op = sleep(0, 5)
    assert op.send(None) is None
    with pytest.raises(StopIteration) as stop:
        op.send(None)
    assert stop.value.value == 5


def test_the_result_is_let_go_of():
    result = object()
    before = sys.getrefcount(result)

    async def main():
        for delay in (0, 0.0001):
            for _ in range(100):
                assert await sleep(delay, result) is result

    run(main())
    assert sys.getrefcount(result) == before
