"""The interpreter ends promptly and cleanly, whatever its loops and threads are at."""

from __future__ import annotations

import os
import textwrap

import pytest
from commands import PYTHON, end, run, start

SOAK = bool(os.environ.get("FENSHEN_SOAK"))
AT_A_TIME = 4
RUNS = 100 if SOAK else 12

DAEMONS = """
import asyncio, sys, threading, time
import fenshen

def run():
    loop = fenshen.new_event_loop()
    {body}

for _ in range(3):
    threading.Thread(target=run, daemon=True).start()
time.sleep(0.04)
"""

BODIES = {
    "idle": "loop.run_forever()",
    "tasks": """
    async def spins():
        while True:
            await asyncio.sleep(0)
    async def main():
        await asyncio.gather(*[spins() for _ in range(5)])
    loop.run_until_complete(main())""",
    "callbacks": """
    def again():
        sum(range(100))
        loop.call_soon(again)
    again()
    loop.run_forever()""",
    "timers": """
    def again():
        loop.call_later(0.0003, again)
    again()
    loop.run_forever()""",
    "a callback that sleeps": """
    loop.call_soon(time.sleep, 0.06)
    loop.run_forever()""",
    "executors": """
    async def main():
        while True:
            try:
                await loop.run_in_executor(None, time.sleep, 0.001)
            except RuntimeError:
                time.sleep(9)  # the interpreter is ending, and takes no more work
    loop.run_until_complete(main())""",
}


@pytest.mark.parametrize("body", BODIES)
def test_daemon_threads(body: str) -> None:
    code = DAEMONS.format(body=BODIES[body])
    for _ in range(RUNS // AT_A_TIME):
        processes = [start([*PYTHON, "-c", code]) for _ in range(AT_A_TIME)]
        for process in processes:
            outcome = end(process, seconds=20)
            assert (outcome.status, outcome.err) == (0, ""), outcome


BELOW_A_METHOD = """
import sys, threading, time
from fenshen import asyncio, futures, queue

class Item:
    def __lt__(self, other):
        return sum(range(99)) < 0

def again(make, use):
    def run():
        while True:
            it = make()
            for _ in range(50):
                use(it)
    return run

sys.setswitchinterval(1e-5)
for make, use in [
    (queue.PriorityQueue, lambda items: items.put(Item())),
    (asyncio.PriorityQueue, lambda items: items.put_nowait(Item())),
    (futures.Future, lambda future: future.add_done_callback(lambda _: sum(range(99)))),
]:
    threading.Thread(target=again(make, use), daemon=True).start()
time.sleep(0.04)
"""


def test_daemon_threads_in_what_a_method_of_ours_calls() -> None:
    """They have run no loop and waited for nothing: the interpreter ends them below a method that calls Python."""
    for _ in range(RUNS // AT_A_TIME):
        processes = [start([*PYTHON, "-c", BELOW_A_METHOD]) for _ in range(AT_A_TIME)]
        for process in processes:
            outcome = end(process, seconds=20)
            assert (outcome.status, outcome.err) == (0, ""), outcome


def test_daemon_threads_that_import_us() -> None:
    """The first loop of the program is being made by a daemon when the interpreter ends."""
    code = DAEMONS.format(body=BODIES["tasks"])
    for i in range(RUNS):
        outcome = run([*PYTHON, "-c", code.replace("0.04", str(i * 0.02 / RUNS))])
        assert (outcome.status, outcome.err) == (0, ""), outcome


@pytest.mark.parametrize(
    "code",
    [
        "loop = fenshen.new_event_loop(); loop.close()",
        "loop = fenshen.new_event_loop(); loop.run_until_complete(asyncio.sleep(0)); keep.append(loop)",
        "loop = fenshen.new_event_loop(); loop.call_later(9, print); loop.call_soon(print); keep.append(loop)",
        "loop = fenshen.new_event_loop(); import atexit; atexit.register(lambda: print(fenshen.run(work())))",
        "loop = fenshen.new_event_loop(); t = loop.create_task(work()); t._log_destroy_pending = False",
        """
class Last:
    def __del__(self):
        loop = fenshen.new_event_loop()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
sys.last = Last()
""",
    ],
    ids=["closed", "unclosed", "pending", "atexit", "task", "finaliser"],
)
def test_loops_at_the_end(code: str) -> None:
    head = (
        "import asyncio, sys, fenshen, fenshen.loop\nkeep = []\nasync def work(): return await asyncio.sleep(0, 'x')\n"
    )
    outcome = end(start([*PYTHON, "-W", "ignore", "-X", "faulthandler", "-c", head + textwrap.dedent(code)]))
    assert outcome.status == 0, outcome
    assert "Fatal" not in outcome.err
