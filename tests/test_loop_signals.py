"""Signals on a loop of ours."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import sys
import threading
import time
from typing import Any

import pytest
from commands import PYTHON, end, start
from twins import OURS, Side, on_both, open_loop, outcome


def callback(*args: Any) -> None:
    pass


async def coroutine_function() -> int:
    return 5


def test_signals() -> None:
    def program(side: Side) -> list[str]:
        seen: list[str] = []
        with open_loop(side) as loop:
            seen += [
                outcome(lambda: loop.add_signal_handler("x", callback), words=False),
                outcome(lambda: loop.add_signal_handler(10**6, callback), words=False),
                outcome(lambda: loop.add_signal_handler(signal.SIGKILL, callback), words=False),
                outcome(lambda: loop.add_signal_handler(signal.SIGUSR1, coroutine_function), words=False),
                outcome(lambda: loop.remove_signal_handler(signal.SIGUSR1)),
            ]
            loop.add_signal_handler(signal.SIGUSR1, seen.append, "first")
            loop.add_signal_handler(signal.SIGUSR1, seen.append, "second")
            loop.call_later(0.005, os.kill, os.getpid(), signal.SIGUSR1)
            loop.call_later(0.03, loop.stop)
            loop.run_forever()
            seen.append(outcome(lambda: loop.remove_signal_handler(signal.SIGUSR1)))
            seen.append(str(signal.getsignal(signal.SIGUSR1)))
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                wrong = pool.submit(loop.add_signal_handler, signal.SIGUSR1, callback)
                seen.append(outcome(wrong.result, words=False))
        return seen

    on_both(program)


def test_a_python_signal_handler_runs_while_the_loop_waits() -> None:
    came, seen = threading.Event(), []
    before = signal.signal(signal.SIGUSR1, lambda *_: came.set())
    try:
        with open_loop(OURS) as loop:

            def send() -> None:
                os.kill(os.getpid(), signal.SIGUSR1)
                seen.append(came.wait(60))
                loop.call_soon_threadsafe(loop.stop)

            timer = threading.Timer(0.05, send)
            timer.start()
            loop.run_forever()
            timer.join()
            assert seen == [True]
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Runner handles SIGINT from Python 3.11 on")
@pytest.mark.parametrize(
    "busy", ["await asyncio.sleep(60)", "\n  while True: await asyncio.sleep(0)", "time.sleep(60)"]
)
def test_ctrl_c(busy: str) -> None:
    code = f"""
import asyncio, sys, time
from fenshen.loop import new_event_loop
async def main():
 print("ready", flush=True)
 try:
  {busy}
 except asyncio.CancelledError:
  print("cancelled", flush=True)
  raise
try:
 with asyncio.Runner(loop_factory=new_event_loop) as runner:
  runner.run(main())
except KeyboardInterrupt:
 print("interrupted", flush=True)
"""
    process = start([*PYTHON, "-c", code])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    if busy.startswith("time"):
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    outcome = end(process, seconds=10)
    assert outcome.status == 0
    assert outcome.out.endswith("interrupted\n")
