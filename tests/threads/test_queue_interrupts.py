"""Waits in queues that end by force: Ctrl-C, a forked child, the end of the interpreter, deadlocks."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from commands import PYTHON, RUN, end, needs_native, run, start
from fenshen import queue

from threads.queues import LONG, Running

pytestmark = needs_native

SOAK = 10 if os.environ.get("FENSHEN_SOAK") else 1


class Stop(Exception):
    """What the handler raises."""


def interrupted(call: Callable[[], Any]) -> None:
    """A signal handler ends the wait, by an error."""

    def handler(*_: Any) -> None:
        raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Stop):
            call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize("name", ["Queue", "LifoQueue", "PriorityQueue"])
def test_every_wait_can_be_interrupted(name: str, exposed: bool) -> None:
    q = getattr(queue, name)(1)
    if exposed:
        assert not q.queue
    interrupted(q.get)
    interrupted(lambda: q.get(timeout=LONG))
    q.put(1)
    interrupted(lambda: q.put(2))
    interrupted(lambda: q.put(2, timeout=LONG))
    interrupted(q.join)
    assert (q.qsize(), q.get(), q.unfinished_tasks) == (1, 1, 1)
    q.put(3)
    assert q.get() == 3


def test_a_wait_in_a_simple_queue_can_be_interrupted() -> None:
    q: queue.SimpleQueue[int] = queue.SimpleQueue()
    interrupted(q.get)
    interrupted(lambda: q.get(timeout=LONG))
    q.put(1)
    assert q.get() == 1


@pytest.mark.parametrize("call", ["q.get()", "q.put(1)", "q.join()", "queue.SimpleQueue().get()"])
def test_ctrl_c(call: str) -> None:
    program = (
        "from fenshen import queue\n"
        "q = queue.Queue(1)\n"
        f"if 'get' not in {call!r}: q.put(1)\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        f"    {call}\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    process = start([*PYTHON, "-c", program])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert end(process) == (0, "interrupted\n", "")


@pytest.mark.parametrize("call", ["q.get", "p.get", "full.put", "full.join", "s.get"])
def test_daemon_threads_that_wait_at_the_end(call: str) -> None:
    program = f"""
import threading, time
from fenshen import queue
q, p, s, full = queue.Queue(), queue.PriorityQueue(), queue.SimpleQueue(), queue.Queue(1)
full.put(1)
args = (2,) if {call!r} == "full.put" else ()
for _ in range(4):
    threading.Thread(target={call}, args=args, daemon=True).start()
time.sleep(0.1)
print("end")
"""
    assert run([*PYTHON, "-c", program]) == (0, "end\n", "")


def test_a_forked_child_has_a_queue_without_the_parents_waiters() -> None:
    program = """
import os, threading, time, warnings
warnings.simplefilter("ignore")
from fenshen import queue
q, full, p = queue.Queue(), queue.Queue(1), queue.PriorityQueue()
full.put(1)
waiting = [threading.Thread(target=q.get), threading.Thread(target=full.put, args=(2,)), threading.Thread(target=p.get)]
for thread in waiting: thread.start()
time.sleep(0.2)
child = os.fork()
if child == 0:
    q.put("mine")
    p.put("least")
    assert q.get(timeout=10) == "mine" and p.get(timeout=10) == "least"
    assert full.get() == 1 and full.empty()
    full.put(3)
    got = []
    thread = threading.Thread(target=lambda: got.append(q.get(timeout=10)))
    thread.start()
    q.put("again")
    thread.join()
    os._exit(0 if got == ["again"] and full.full() else 1)
_, status = os.waitpid(child, 0)
q.put(0)
p.put(0)
assert full.get() == 1
for thread in waiting: thread.join(10)
print(os.waitstatus_to_exitcode(status), full.get())
"""
    assert run([*PYTHON, "-c", program]) == (0, "0 2\n", "")


def test_a_child_forked_amid_another_threads_comparison_can_use_the_queue() -> None:
    program = """
import os, threading, warnings
warnings.simplefilter("ignore")
from fenshen import queue
q = queue.PriorityQueue()
compares, go_on = threading.Event(), threading.Event()
class Item:
    def __init__(self, number): self.number = number
    def __lt__(self, other):
        compares.set()
        go_on.wait(30)
        return self.number < other.number
q.put(Item(2))
putting = threading.Thread(target=q.put, args=(Item(1),))
putting.start()
compares.wait()
child = os.fork()
if child == 0:
    go_on.set()
    q.put(Item(0))
    os._exit(q.qsize())
_, status = os.waitpid(child, 0)
go_on.set()
putting.join()
print(os.waitstatus_to_exitcode(status), q.get(timeout=10).number)
"""
    status, out, err = run([*PYTHON, "-c", program])
    assert (status, err) == (0, "")
    assert out in ("3 1\n", "2 1\n")


def test_a_get_that_nobody_can_end_is_a_deadlock() -> None:
    for make in ("queue.Queue()", "queue.PriorityQueue()", "queue.SimpleQueue()"):
        call = f"try: {make}.get()\nexcept fenshen.DeadlockError: print('deadlock')"
        program = f"import fenshen\nfrom fenshen import queue\n{call}"
        assert run([*RUN, "-c", program])[:2] == (0, "deadlock\n")


@pytest.mark.parametrize("kind", ["native", "exposed", "priority", "simple"])
def test_no_item_is_lost_or_doubled(kind: str) -> None:
    """Eight threads with short timeouts, and a main thread whose waits a handler interrupts again and again."""
    make: dict[str, Callable[[], Any]] = {
        "native": lambda: queue.Queue(3),
        "exposed": lambda: queue.Queue(3),
        "priority": lambda: queue.PriorityQueue(3),
        "simple": queue.SimpleQueue,
    }
    q = make[kind]()
    if kind == "exposed":
        assert not q.queue
    per_thread, over = 300 * SOAK, threading.Event()

    def put(start: int) -> None:
        for item in range(start, 4 * per_thread, 4):
            while True:
                try:
                    q.put(item, timeout=0.001)
                    break
                except queue.Full:
                    pass

    def get() -> list[int]:
        got = []
        while not (over.is_set() and q.empty()):
            with contextlib.suppress(queue.Empty):
                got.append(q.get(timeout=0.001))
        return got

    in_wait, mine, interruptions = False, [], 0

    def handler(*_: Any) -> None:
        nonlocal interruptions
        if in_wait:
            interruptions += 1
            raise Stop

    putting = [Running(put, start) for start in range(4)]
    getting = [Running(get) for _ in range(4)]
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
    try:
        while any(running.thread.is_alive() for running in putting):
            slot: list[int] = []
            try:
                in_wait = True
                # `extend` has the item in the list before any handler can run.
                slot.extend(map(q.get, [True], [0.01]))
                in_wait = False
            except (Stop, queue.Empty):
                in_wait = False
            mine.extend(slot)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    for running in putting:
        running.end()
    over.set()
    got = [item for running in getting for item in running.end()] + mine
    assert sorted(got) == list(range(4 * per_thread))
