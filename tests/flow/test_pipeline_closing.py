"""How a pipeline ends before its last result: everything of it has ended then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import fenshen
import pytest
from fenshen.flow import pipeline, pipelines, stage

from flow import work
from flow.sides import PATIENCE, auntil, each_loop, on_fenshen, until


class Endless:
    """A source without an end, which tells whether it was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def numbers(self) -> Iterator[int]:
        number = 0
        try:
            while True:
                number += 1
                yield number
        finally:
            self.closed.set()

    async def anumbers(self) -> AsyncIterator[int]:
        try:
            for number in self.numbers():
                await asyncio.sleep(0)
                yield number
        finally:
            self.closed.set()


Numbers = Callable[[Endless], Any]
each_source = pytest.mark.parametrize("numbers", [Endless.numbers, Endless.anumbers])


@each_source
def test_break_in_a_for_loop(numbers: Numbers) -> None:
    source = Endless()
    for number in pipeline(numbers(source), stage(work.double, "thread"), stage(work.adouble, "async")):
        if number > 40:
            break
    assert source.closed.is_set()


@each_source
def test_with_goes_on_after_a_break(numbers: Numbers) -> None:
    source = Endless()
    with pipeline(numbers(source), stage(work.double, "thread")) as results:
        for number in results:
            if number == 6:
                break
        assert not source.closed.is_set()
        assert next(iter(results)) == 8
    assert source.closed.is_set()


@each_loop
@each_source
def test_async_with_goes_on_after_a_break(run: Callable[[Any], Any], numbers: Numbers) -> None:
    async def main() -> None:
        source = Endless()
        async with pipeline(numbers(source), stage(work.double, "thread")) as results:
            async for number in results:
                if number == 6:
                    break
            await asyncio.sleep(0.01)  # in which what `break` left is collected
            assert not source.closed.is_set()
            async for number in results:
                assert number == 8
                break
        assert source.closed.is_set()

    run(main())


@each_loop
@each_source
def test_break_in_an_async_for_loop(run: Callable[[Any], Any], numbers: Numbers) -> None:
    async def main() -> None:
        source, tasks = Endless(), asyncio.all_tasks()
        async for number in pipeline(numbers(source), stage(work.double, "thread")):
            if number > 20:
                break
        await auntil(source.closed.is_set)
        await auntil(lambda: asyncio.all_tasks() <= tasks)

    run(main())


@pytest.mark.fenshen_leaks(tasks=False)
@each_loop
@each_source
def test_end_of_the_loop_while_a_pipeline_is_closed(run: Callable[[Any], Any], numbers: Numbers) -> None:
    source, begun = Endless(), threading.Event()

    def slow(number: int) -> int:
        if number > 10:
            begun.set()
            work.nap(0.02)
        return number

    async def main() -> None:
        async for number in pipeline(numbers(source), stage(slow, "thread", workers=3)):
            if number > 9 and begun.is_set():
                break

    run(main())
    assert source.closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fenshen-flow")]


@each_loop
@each_source
def test_cancelled_task(run: Callable[[Any], Any], numbers: Numbers) -> None:
    async def main() -> None:
        source, begun, ended = Endless(), 0, 0

        async def forever(number: int) -> int:
            nonlocal begun, ended
            begun += 1
            try:
                await asyncio.sleep(600)
            finally:
                ended += 1
            return number

        task = asyncio.ensure_future(pipeline(numbers(source), stage(forever, "async", workers=5)).arun())
        await auntil(lambda: begun == 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == 5
        assert source.closed.is_set()

    run(main())


@each_loop
def test_cancelled_again_while_it_ends(run: Callable[[Any], Any]) -> None:
    async def main() -> None:
        cancelled, go_on, ended = asyncio.Event(), asyncio.Event(), []

        async def stubborn(_number: int) -> None:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                cancelled.set()
                await go_on.wait()
                ended.append(1)
                raise

        task = asyncio.ensure_future(pipeline([1], stage(stubborn, "async")).arun())
        await asyncio.sleep(0.01)
        task.cancel()
        await cancelled.wait()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [1]

    run(main())


def test_calls_in_processes_are_ended(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    numbers = pipeline([str(path)], stage(work.sleep_long, "process"))
    with numbers:
        thread = threading.Thread(target=lambda: list(numbers))
        thread.start()
        until(lambda: path.exists() and path.read_text())
        numbers.close()
    thread.join()
    pid = int(path.read_text())
    until(lambda: _is_gone(pid))


def test_closed_while_its_thread_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever closes it finds what was started."""
    constructed, closed = threading.Event(), threading.Event()

    class Slow(pipelines.Background):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            constructed.set()
            closed.wait(0.2)

    monkeypatch.setattr(pipelines, "Background", Slow)
    source = Endless()
    with pipeline(source.numbers(), stage(work.double, "thread")) as numbers:
        thread = threading.Thread(target=lambda: list(numbers), daemon=True)
        thread.start()
        constructed.wait()
        numbers.close()
        closed.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert source.closed.is_set()


def test_closed_before_its_thread_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever iterates is told."""

    class Cancelled(pipelines.Background):
        cancelled = property(lambda _: True, lambda *_: None)  # type: ignore[assignment]

    monkeypatch.setattr(pipelines, "Background", Cancelled)
    assert list(pipeline([1, 2], stage(work.double, "thread"))) == []


def test_calls_in_processes_are_ended_by_cancellation(tmp_path: Path) -> None:
    path = tmp_path / "pid"

    async def main() -> None:
        task = asyncio.ensure_future(pipeline([str(path)], stage(work.sleep_long, "process")).arun())
        await auntil(lambda: path.exists() and path.read_text())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    on_fenshen(main())
    pid = int(path.read_text())
    until(lambda: _is_gone(pid))


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_calls_in_threads_are_waited_for() -> None:
    begun, ended = threading.Event(), threading.Event()

    def slow(number: int) -> int:
        if number == 2:
            begun.set()
            work.nap(0.1)
            ended.set()
        return number

    with pipeline([1, 2], stage(slow, "thread", workers=1)) as results:
        assert next(iter(results)) == 1
        begun.wait(PATIENCE)
    assert ended.is_set()


def test_generators_of_stages_are_closed() -> None:
    closed = []

    def endless(number: int) -> Iterator[int]:
        try:
            while True:
                yield number
        finally:
            closed.append(number)

    async def aendless(number: int) -> AsyncIterator[int]:
        try:
            while True:
                yield number
                await asyncio.sleep(0)
        finally:
            closed.append(number)

    for fn, model in ((endless, "thread"), (endless, "async"), (aendless, "async")):
        closed.clear()
        begun = set()
        for number in pipeline([1, 2, 3], stage(fn, model, ordered=False)):
            begun.add(number)
            if begun == {1, 2, 3}:
                break
        assert sorted(closed) == [1, 2, 3]


def test_own_processes_are_ended() -> None:
    from multiprocessing import active_children

    from fenshen import _to_process

    before = {child.pid for child in active_children()}
    pids = pipeline(range(40), stage(work.pid, "process", workers=5)).run()
    assert pids
    # The program's own pool may be about to replace a worker.
    until(lambda: {child.pid for child in active_children()} <= {*before, *_to_process.pool()._processes})
    until(lambda: all(_is_gone(pid) for pid in set(pids)))


def test_closing_without_a_beginning() -> None:
    source = Endless()
    numbers = pipeline(source.numbers(), stage(work.double, "thread"))
    numbers.close()
    numbers.close()
    with pytest.raises(RuntimeError, match="runs once"):
        numbers.run()
    with pipeline(source.numbers(), stage(work.double, "thread")):
        pass

    async def main() -> None:
        async with pipeline(source.numbers(), stage(work.double, "thread")):
            pass

    on_fenshen(main())


def test_thread_pool_that_cannot_start_leaves_nothing() -> None:
    source = Endless()
    bad = stage(work.double, "thread")
    bad.workers = -1  # as it can't be given
    with pytest.raises(ValueError, match="max_workers"):
        pipeline(source.numbers(), stage(work.double, "thread"), bad).run()
    with pytest.raises(ValueError, match="max_workers"):
        on_fenshen(pipeline(source.numbers(), bad).arun())


PROGRAM = """
import os, sys, threading, time
from fenshen.flow import pipeline, pipelines, stage

def say(text):
    os.write(1, (text + "\\n").encode())

def source():
    try:
        while True:
            yield 1
    finally:
        say("closed")

def call(item):
    time.sleep(float(sys.argv[1]))
    return item

results = iter(pipeline(source(), stage(call, "thread", workers=1, buffer=0)))
say(f"first {{next(results)}}")
{rest}
"""


def _program(rest: str, seconds: float) -> subprocess.Popen[str]:
    code = PROGRAM.format(rest=rest)
    command = [sys.executable, "-c", code, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_exit_ends_a_pipeline_that_was_left_half_read() -> None:
    with _program("", 0) as program:
        output, errors = program.communicate(timeout=PATIENCE)
    assert (program.returncode, output, errors) == (0, "first 1\nclosed\n", "")


def test_interrupt_ends_a_pipeline() -> None:
    with _program("for _ in results: pass", 0.05) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "first 1\n"
        program.send_signal(signal.SIGINT)
        output, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == -signal.SIGINT
    assert output == "closed\n"


@pytest.mark.parametrize("wait", [fenshen.checkpoint, lambda: fenshen.Queue().get()])
def test_threads_end_at_their_next_checkpoint(wait: Callable[[], object]) -> None:
    begun, cleaned = threading.Event(), threading.Event()

    def forever(_number: int) -> None:
        begun.set()
        try:
            while True:
                wait()
        finally:
            fenshen.Event().wait(timeout=0.001)  # clean-up may wait
            cleaned.set()

    async def main() -> None:
        task = asyncio.ensure_future(pipeline([1], stage(forever, "thread")).arun())
        await auntil(begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cleaned.is_set()

    on_fenshen(main())


def test_source_that_waits_for_ever_is_ended() -> None:
    items, cleaned = fenshen.Queue(), threading.Event()
    items.put(1)

    def source() -> Iterator[int]:
        try:
            while True:
                yield items.get()
        finally:
            fenshen.Event().wait(timeout=0.001)
            cleaned.set()

    for number in pipeline(source(), stage(work.double, "thread")):
        assert number == 2
        break
    assert cleaned.is_set()


def test_closing_while_it_ends_by_itself() -> None:
    async def source() -> AsyncIterator[int]:
        try:
            for number in range(5, 100):
                yield number
        finally:
            ends.set()
            await asyncio.sleep(0.02)

    for _ in range(5):
        ends = threading.Event()
        results: Any = iter(pipeline(source(), stage(work.unlucky, "async", workers=1)))
        assert next(results) == 5
        assert ends.wait(PATIENCE)
        results.close()  # the error of 7 is forgotten


def test_results_that_come_in_spite_of_cancellation_keep_nobody_waiting() -> None:
    async def main() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def stubborn(_number: int) -> AsyncIterator[int]:
            begun.set()
            with contextlib.suppress(asyncio.CancelledError):
                await go_on.wait()
            for number in range(5):
                yield number

        task = asyncio.ensure_future(pipeline([1], stage(stubborn, "async", buffer=1)).arun())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    on_fenshen(main())
