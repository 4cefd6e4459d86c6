"""Pools and loops: `run_in_executor`, `to_thread`, `wrap_future`, on asyncio's loop and on ours."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading

import fenshen
import pytest

from threads.futures_twins import LIMIT, needs_native, twins

pytestmark = needs_native

VARIABLE: contextvars.ContextVar[int] = contextvars.ContextVar("VARIABLE", default=0)
LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.SelectorEventLoop, fenshen.new_event_loop], ids=["asyncio", "ours"]
)


def complete(new_loop, main):
    """What a coroutine returns, run on a loop of that kind, which ends as `asyncio.run` has it end."""
    loop = new_loop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(asyncio.wait_for(main(), LIMIT))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()


@LOOPS
@twins()
def test_a_pool_of_the_programs(futures, new_loop) -> None:
    async def main():
        loop = asyncio.get_running_loop()
        with futures.ThreadPoolExecutor(2) as pool:
            good = loop.run_in_executor(pool, pow, 2, 3)
            bad = loop.run_in_executor(pool, int, "x")
            assert asyncio.isfuture(good)
            assert await good == 8
            with pytest.raises(ValueError, match="invalid literal"):
                await bad
            return await asyncio.gather(*(loop.run_in_executor(pool, abs, -i) for i in range(200)))

    assert complete(new_loop, main) == list(range(200))


@LOOPS
@twins()
def test_cancelling(futures, new_loop) -> None:
    async def main():
        loop = asyncio.get_running_loop()
        gate = threading.Event()
        with futures.ThreadPoolExecutor(1) as pool:
            running = loop.run_in_executor(pool, gate.wait, LIMIT)
            job = pool.submit(int)
            waiting = asyncio.wrap_future(job)
            waiting.cancel()
            await asyncio.sleep(0)
            assert job.cancelled()
            job = pool.submit(int)
            waiting = asyncio.wrap_future(job)
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            gate.set()
            assert await running

    complete(new_loop, main)


@LOOPS
def test_the_default(new_loop) -> None:
    async def main():
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, pow, 2, 3) == 8
        VARIABLE.set(5)
        assert await asyncio.to_thread(VARIABLE.get) == 5
        name = await asyncio.to_thread(lambda: threading.current_thread().name)
        assert name.startswith("asyncio_")
        assert isinstance(loop._default_executor, concurrent.futures.ThreadPoolExecutor)
        return loop._default_executor

    pool = complete(new_loop, main)
    assert pool._shutdown
    from fenshen.futures import ThreadPoolExecutor

    assert (type(pool) is ThreadPoolExecutor) == (new_loop is fenshen.new_event_loop)


@LOOPS
@twins()
def test_a_default_of_the_programs(futures, new_loop) -> None:
    async def main():
        loop = asyncio.get_running_loop()
        pool = futures.ThreadPoolExecutor(1, thread_name_prefix="mine")
        loop.set_default_executor(pool)
        name = await asyncio.to_thread(lambda: threading.current_thread().name)
        with pytest.raises(TypeError, match="executor must be ThreadPoolExecutor instance"):
            loop.set_default_executor(concurrent.futures.Executor())
        return name, pool

    name, pool = complete(new_loop, main)
    assert name == "mine_0"
    assert pool._shutdown


@LOOPS
def test_after_its_shutdown(new_loop) -> None:
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(int)
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            loop.run_in_executor(None, int)

    complete(new_loop, main)
    loop = new_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_in_executor(None, int)


@LOOPS
@twins()
def test_a_coroutine_from_a_thread(futures, new_loop) -> None:
    async def main():
        loop = asyncio.get_running_loop()

        async def double(x):
            await asyncio.sleep(0)
            return 2 * x

        def work():
            job = asyncio.run_coroutine_threadsafe(double(4), loop)
            both = [job, pool.submit(int)]
            futures.wait(both, LIMIT)
            return job.result(LIMIT), len(list(futures.as_completed(both, LIMIT)))

        with futures.ThreadPoolExecutor(2) as pool:
            return await loop.run_in_executor(pool, work)

    assert complete(new_loop, main) == (8, 2)


def test_a_loop_that_waits_for_a_busy_pool_does_not_stall(capfd) -> None:
    """The check for a loop that nothing can wake knows when a worker of ours is at work."""

    async def main():
        gate = threading.Event()
        threading.Timer(0.3, gate.set).start()
        return await asyncio.to_thread(gate.wait, LIMIT)

    assert complete(fenshen.new_event_loop, main)
    assert capfd.readouterr().err == ""


def test_a_loop_that_waits_for_nothing_beside_an_idle_pool_stalls() -> None:
    from commands import RUN, run

    outcome = run(
        [
            *RUN,
            "-c",
            "import asyncio\n"
            "async def main():\n"
            "    await asyncio.to_thread(int)\n"
            "    await asyncio.get_running_loop().create_future()\n"
            "asyncio.run(main())",
        ]
    )
    assert outcome.status == 1
    assert "DeadlockError" in outcome.err
