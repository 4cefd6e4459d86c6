"""A signal handler may want the very thing that its thread waits for: what comes by meanwhile is the handler's."""

from __future__ import annotations

import subprocess
import sys

import pytest
from commands import needs_native

pytestmark = needs_native

PROGRAM = """
import signal, threading, time
from fenshen import queue, threading as ours

class Items:
    # A queue of one item, as a lock.
    def __init__(self):
        self.queue = queue.Queue()
        self.queue.put("item")
    def acquire(self):
        self.queue.get()
    def release(self):
        self.queue.put("item")

lock = {make}
took = []
handled, held = threading.Event(), threading.Event()

def handler(*_):
    handled.set()
    lock.acquire()
    took.append("handler")
    lock.release()

def hold():
    lock.acquire()
    held.set()
    handled.wait()
    # The handler is about to wait, or does, amid the wait of its own thread.
    time.sleep(0.02)
    lock.release()

signal.signal(signal.SIGALRM, handler)
holder = threading.Thread(target=hold)
holder.start()
held.wait()
signal.setitimer(signal.ITIMER_REAL, 0.02)
lock.acquire()
took.append("main")
lock.release()
holder.join()
print(*took)
"""


@pytest.mark.parametrize(
    "make", ["ours.Lock()", "ours.RLock()", "ours.Semaphore(1)", "ours.BoundedSemaphore(1)", "Items()"]
)
def test_takes_what_its_thread_waits_for(make: str) -> None:
    command = [sys.executable, "-c", PROGRAM.replace("{make}", make)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("handler main\n", "")
