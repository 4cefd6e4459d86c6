"""Forking: a child never hangs on its parent's loop, and a program that forks prints nothing."""

from __future__ import annotations

import textwrap

import pytest
from commands import PYTHON, Outcome, end, start

HEAD = """
import asyncio, os, signal, sys, threading, time
import fenshen
from fenshen._fenshen import Task

def forked(child):
    "Runs child() in a fork; what it prints, or how it failed."
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        try:
            print("child:", child(), flush=True)
        except BaseException as e:
            print("child raised", type(e).__name__, e, flush=True)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        print("child died", status, flush=True)

async def work():
    await asyncio.sleep(0.001)
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon_threadsafe(future.set_result, 5)
    return await future + 1
"""


def program(text: str, *options: str) -> Outcome:
    """Runs HEAD and `text`, with every warning an error."""
    code = HEAD + textwrap.dedent(text)
    return end(start([*PYTHON, "-W", "error", "-X", "faulthandler", *options, "-c", code]), seconds=30)


def test_an_inherited_loop_that_does_not_run_works_in_the_child() -> None:
    text = """
        loop = fenshen.new_event_loop()
        print(loop.run_until_complete(work()))
        forked(lambda: loop.run_until_complete(work()))
        print(loop.run_until_complete(work()))
        loop.close()
        """
    outcome = program(text)
    lines = outcome.out.splitlines()
    assert lines[0] == lines[-1] == "6"
    assert lines[1] == "child: 6"
    assert outcome.status == 0


def test_files_are_watched_in_both() -> None:
    text = """
        loop = fenshen.new_event_loop()
        def watch():
            r, w = os.pipe()
            got = loop.create_future()
            loop.add_reader(r, lambda: got.done() or got.set_result(os.read(r, 1)))
            return r, w, got
        r, w, got = watch()
        def child():
            os.close(w)
            r, w2, got2 = watch()
            os.write(w2, b"c")
            return loop.run_until_complete(asyncio.wait_for(got2, 5))
        forked(child)
        os.write(w, b"p")
        print(loop.run_until_complete(asyncio.wait_for(got, 5)))
        loop.close()
        """
    assert program(text) == (0, "child: b'c'\nb'p'\n", "")


def test_a_running_loop_is_refused_in_the_child() -> None:
    text = """
        async def main():
            loop = asyncio.get_running_loop()
            async def nothing(): pass
            def run():
                coroutine = nothing()
                try:
                    loop.run_until_complete(coroutine)
                finally:
                    coroutine.close()
            forked(run)
            forked(loop.run_forever)
            forked(lambda: loop.call_soon_threadsafe(print))
            forked(lambda: asyncio.run(work()))
            return await work()
        loop = fenshen.new_event_loop()
        print(loop.run_until_complete(main()))
        loop.close()
        """
    outcome = program(text)
    assert outcome.status == 0, outcome
    lines = outcome.out.splitlines()
    for line in lines[:3]:
        assert line.startswith("child raised RuntimeError this event loop was running in process "), line
        assert "make a new one" in line
    assert lines[3:] == ["child: 6", "6"]


@pytest.mark.parametrize("what", ["await asyncio.sleep(0.01)", "await asyncio.sleep(0)", "await work()"])
def test_a_child_that_goes_on_in_the_parents_loop_does_not_hang(what: str) -> None:
    text = f"""
        async def main():
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                signal.alarm(10)
                for _ in range(200):
                    {what}
                print("child goes on", flush=True)
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            print("status", status)
            return await work()
        loop = fenshen.new_event_loop()
        try:
            print(loop.run_until_complete(main()))
        except RuntimeError as e:
            print(e, flush=True)
            os._exit(7)
        loop.close()
        """
    outcome = program(text)
    assert outcome.status == 0, outcome
    assert "status -14" not in outcome.out, "it hung"
    assert outcome.out.endswith("6\n")


@pytest.mark.parametrize("how", ["new", "run", "fork in a thread"])
def test_a_program_that_forks_prints_nothing(how: str) -> None:
    text = {
        "new": """
            loop = fenshen.new_event_loop()
            forked(lambda: 5)
            loop.close()
            """,
        "run": """
            async def main():
                await asyncio.sleep(0.001)
                forked(lambda: 5)
                await asyncio.sleep(0.001)
            fenshen.run(main())
            """,
        "fork in a thread": """
            loop = fenshen.new_event_loop()
            loop.run_until_complete(asyncio.sleep(0))
            forked(lambda: 5)
            loop.close()
            """,
    }[how]
    assert program(text) == (0, "child: 5\n", "")


def test_multiprocessing_inside_a_running_loop() -> None:
    text = """
        import multiprocessing, warnings
        def child(queue):
            queue.put(asyncio.run(work()))
            loop = fenshen.new_event_loop()
            queue.put(loop.run_until_complete(work()))
            loop.close()
        async def main():
            context = multiprocessing.get_context("fork")
            queue = context.SimpleQueue()
            process = context.Process(target=child, args=(queue,))
            process.start()
            process.join(10)
            print(process.exitcode, queue.get(), queue.get())
            await asyncio.sleep(0.001)
            print(await work())
        loop = fenshen.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        """
    assert program(text) == (0, "0 6 6\n6\n", "")


def test_signals_in_the_child_do_not_reach_the_parents_loop() -> None:
    text = """
        async def main():
            loop = asyncio.get_running_loop()
            came = []
            loop.add_signal_handler(signal.SIGUSR1, came.append, 1)
            def child():
                signal.signal(signal.SIGUSR1, signal.SIG_IGN)
                os.kill(os.getpid(), signal.SIGUSR1)
            forked(child)
            await asyncio.sleep(0.05)
            print(came)
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.sleep(0.05)
            print(came)
        loop = fenshen.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        """
    assert program(text) == (0, "child: None\n[]\n[1]\n", "")
