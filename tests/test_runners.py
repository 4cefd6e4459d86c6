"""`fenshen.run` and `fenshen.Runner`: asyncio's contract on every Python."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import sys
import threading
from typing import Any

import fenshen
import pytest
from fenshen import _runner310

KINDS: list[Any] = [fenshen.Runner, _runner310.Runner]
RUNNERS = pytest.mark.parametrize("Runner", KINDS, ids=["Runner", "for 3.10"])


async def value(result: Any = 5) -> Any:
    await asyncio.sleep(0)
    return result


def test_run_returns_the_result_and_closes_the_loop() -> None:
    loops = []

    async def main() -> int:
        loops.append(asyncio.get_running_loop())
        return 5

    assert fenshen.run(main()) == 5
    assert loops[0].is_closed()
    if fenshen.engine == "native":
        assert isinstance(loops[0], fenshen.EventLoop)
    if sys.version_info < (3, 14):
        with pytest.raises(RuntimeError):
            asyncio.get_event_loop_policy().get_event_loop()


def test_errors_are_asyncios_own() -> None:
    for wrong in (5, value, None):
        with pytest.raises((ValueError, TypeError)) as ours:
            fenshen.run(wrong)  # type: ignore[arg-type]
        with pytest.raises((ValueError, TypeError)) as theirs:
            asyncio.run(wrong)  # type: ignore[arg-type]
        assert (type(ours.value), str(ours.value)) == (type(theirs.value), str(theirs.value))

    async def nested() -> None:
        coro = value()
        try:
            fenshen.run(coro)
        finally:
            coro.close()

    with pytest.raises(RuntimeError, match=r"asyncio.run\(\) cannot be called from a running event loop"):
        fenshen.run(nested())

    async def fails() -> None:
        raise LookupError("x")

    with pytest.raises(LookupError, match="x"):
        fenshen.run(fails())


@pytest.mark.parametrize("debug", [True, False, None])
def test_debug(debug: bool | None) -> None:
    async def main() -> bool:
        return asyncio.get_running_loop().get_debug()

    expected = debug if debug is not None else sys.flags.dev_mode or bool(os.environ.get("PYTHONASYNCIODEBUG"))
    assert fenshen.run(main(), debug=debug) == expected


def test_a_loop_factory_is_used_and_its_loop_is_not_made_current() -> None:
    made: list[asyncio.AbstractEventLoop] = []

    def factory() -> asyncio.AbstractEventLoop:
        made.append(asyncio.SelectorEventLoop())
        return made[-1]

    before = fenshen.new_event_loop()
    asyncio.set_event_loop(before)
    try:
        assert fenshen.run(value(), loop_factory=factory) == 5
        assert made[0].is_closed()
        assert asyncio.get_event_loop_policy().get_event_loop() is before
    finally:
        asyncio.set_event_loop(None)
        before.close()


def test_what_is_left_is_cancelled_and_shut_down() -> None:
    log: list[str] = []

    async def background() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def numbers() -> Any:
        try:
            while True:
                yield 1
        finally:
            log.append("generator closed")

    async def main() -> None:
        tasks.append(asyncio.ensure_future(background()))
        generator = numbers()
        generators.append(generator)
        await generator.__anext__()
        await asyncio.get_running_loop().run_in_executor(None, log.append, "executor")

    tasks: list[Any] = []
    generators: list[Any] = []
    fenshen.run(main())
    assert log == ["executor", "cancelled", "generator closed"]
    assert tasks[0].cancelled()


def test_an_error_while_cancelling_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ZeroDivisionError

    async def main() -> None:
        main.task = asyncio.ensure_future(stubborn())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    for Runner in KINDS:
        caplog.clear()
        with Runner() as runner:
            runner.run(main())
        assert "unhandled exception during asyncio.run() shutdown" in caplog.text


@RUNNERS
def test_a_runner_runs_many_in_one_context_and_one_loop(Runner: Any) -> None:
    var: contextvars.ContextVar[int] = contextvars.ContextVar("var", default=0)

    async def add() -> int:
        var.set(var.get() + 1)
        return var.get()

    with Runner() as runner:
        loop = runner.get_loop()
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
        assert runner.get_loop() is loop
        found = [runner.run(add()) for _ in range(3)]
        own = contextvars.copy_context()
        if Runner is fenshen.Runner and sys.version_info >= (3, 11):
            assert found == [1, 2, 3]
            assert runner.run(add(), context=own) == 1
            assert own[var] == 1
    assert var.get() == 0
    assert loop.is_closed()
    runner.close()
    with pytest.raises(RuntimeError, match="Runner is closed"):
        runner.get_loop()
    coro = value()
    with pytest.raises(RuntimeError, match="Runner is closed"):
        runner.run(coro)
    coro.close()


@RUNNERS
def test_a_runner_that_was_never_used_closes(Runner: Any) -> None:
    Runner().close()


@RUNNERS
def test_ctrl_c_cancels_the_main_task_and_is_raised(Runner: Any) -> None:
    log: list[str] = []

    async def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(20)
        finally:
            log.append("cleaned up")

    with Runner() as runner:
        with pytest.raises(KeyboardInterrupt):
            runner.run(main())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert runner.run(value(3)) == 3
    assert log == ["cleaned up"]


@RUNNERS
def test_ctrl_c_that_main_swallows(Runner: Any) -> None:
    async def main() -> str:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            return "swallowed"
        return ""

    with Runner() as runner:
        assert runner.run(main()) == "swallowed"


@RUNNERS
def test_a_second_ctrl_c_interrupts_at_once(Runner: Any) -> None:
    async def main() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(20)

    runner = Runner()
    with pytest.raises(KeyboardInterrupt):
        runner.run(main())
    runner.close()


@RUNNERS
def test_a_handler_of_the_programs_own_is_left_alone(Runner: Any) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        handler = signal.getsignal(signal.SIGINT)

        async def main() -> None:
            assert signal.getsignal(signal.SIGINT) is handler
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0)

        with Runner() as runner:
            runner.run(main())
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


@RUNNERS
def test_in_another_thread_signals_are_left_alone(Runner: Any) -> None:
    found: list[Any] = []

    def work() -> None:
        with Runner() as runner:
            found.append(runner.run(value()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [5]


def test_nothing_is_left_behind() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    fenshen.run(value())
    gc.collect()
    before = descriptors()
    for _ in range(20):
        fenshen.run(value())
    gc.collect()
    assert descriptors() <= before
