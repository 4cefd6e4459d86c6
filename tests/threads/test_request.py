"""SIGUSR1 under `fenshen run`: what every thread and task does, without stopping the program."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from commands import PYTHON, RUN, end, needs_native, start

pytestmark = needs_native


def asked(program: str, *options: str, after: float = 0.3, **env: str) -> tuple[int, str, str]:
    """Start a program, send it SIGUSR1 some time after it has printed a line, and let it end."""
    process = start([*RUN, *options, "-c", program], **env)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after)
    os.kill(process.pid, signal.SIGUSR1)
    return end(process)


THREADS = """
import threading, time
lock, nested, begun = threading.Lock(), threading.RLock(), threading.Event()
def worker():
    with nested:
        begun.set() or lock.acquire()
lock.acquire()
thread = threading.Thread(target=worker, name="worker")
thread.start()
begun.wait()
print("ready", flush=True)
{wait}
lock.release()
thread.join()
print("end")
"""


@pytest.mark.parametrize(
    "wait",
    [
        "time.sleep(2)",
        "threading.Event().wait(2)",
        "limit = time.monotonic() + 2\nwhile time.monotonic() < limit: pass",
        "import select; select.select([], [], [], 2)",
    ],
)
def test_threads_and_their_locks(wait: str) -> None:
    status, out, err = asked(THREADS.format(wait=wait))
    assert (status, out) == (0, "end\n"), err
    assert err.count("fenshen: process ") == 1
    assert "\n  worker\n    waits for <locked _thread.lock object at 0x...>, held by MainThread\n" in err
    assert "    holds <locked _thread.RLock object" in err
    assert "\n    <string>:6 in worker\n" in err
    main = err[err.index("  MainThread\n") :]
    assert main.splitlines()[1] == "    holds <locked _thread.lock object at 0x...>"


def test_tasks_and_their_locks() -> None:
    status, out, err = asked("""
import asyncio
async def main():
    lock, event = asyncio.Lock(), asyncio.Event()
    async def first():
        async with lock:
            await event.wait()
    async def second():
        async with lock:
            pass
    tasks = [asyncio.create_task(first(), name="A"), asyncio.create_task(second(), name="B")]
    print("ready", flush=True)
    await asyncio.sleep(2)
    event.set()
    await asyncio.gather(*tasks)
asyncio.run(main())
print("end")
""")
    assert (status, out) == (0, "end\n"), err
    assert "\n3 tasks\n" in err
    assert "\n  A (first)\n    waits on <fenshen._fenshen.Event" in err
    assert "\n  B (second)\n    waits on <fenshen._fenshen.Lock" in err
    assert err.count("    holds <fenshen._fenshen.Lock") == 1
    assert "    <string>:7 in first" in err


def test_a_program_without_threads() -> None:
    program = "import time\nprint('ready', flush=True)\ntime.sleep(1)\nprint('end')"
    status, out, err = asked(program)
    assert (status, out) == (0, "end\n")
    assert 'File "<string>", line 3' in err


def test_while_c_code_holds_the_interpreter() -> None:
    program = """
import threading, time
print("ready", flush=True)
began = time.monotonic()
while time.monotonic() - began < 2:
    pow(7, 1 << 10_000, (1 << 6_000) + 1)
print("end")
"""
    status, out, err = asked(program, after=0.5)
    assert (status, out) == (0, "end\n")
    assert "<string>" in err
    assert "MainThread" in err or "Current thread" in err


def test_a_handler_of_the_program_is_its_own() -> None:
    program = """
import signal, threading, time
print(signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL)
signal.signal(signal.SIGUSR1, lambda *_: print("mine", flush=True))
print("ready", flush=True)
time.sleep(1)
"""
    process = start([*RUN, "-c", program])
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["True\n", "ready\n"]
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGUSR1)
    assert end(process) == (0, "mine\n", "")


def test_it_can_be_asked_again_and_again() -> None:
    process = start([*RUN, "-c", THREADS.format(wait="input()")])
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    told: list[str] = []
    reader = threading.Thread(target=told.extend, args=(iter(process.stderr.readline, ""),))
    reader.start()

    def reports() -> int:
        return sum("fenshen: process " in line or "Current thread" in line for line in told)

    for count in range(1, 4):
        os.kill(process.pid, signal.SIGUSR1)
        limit = time.monotonic() + 60
        while reports() < count:
            assert time.monotonic() < limit
            time.sleep(0.01)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.read() == "end\n"
    reader.join()
    assert process.wait() == 0
    assert reports() == 3


def test_an_ignored_signal_stays_ignored() -> None:
    program = "import signal, threading, time\nprint('ready', flush=True)\ntime.sleep(1)\nprint('end')"
    command = [*RUN, "-c", program]
    ignoring = f"import os, signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN); os.execv({RUN[0]!r}, {command!r})"
    process = start([*PYTHON, "-c", ignoring])
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGUSR1)
    assert end(process) == (0, "end\n", "")
