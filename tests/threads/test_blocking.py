"""What every call that blocks has in common: Ctrl-C ends it, a signal handler does not, a daemon may be left in it when
the interpreter ends, and a forked child is free of those who waited in its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from commands import PYTHON, end, needs_native, run, start

from threads.sides import FUTEX

pytestmark = needs_native

SETUP = """
import os, signal, sys, time
import threading as standard
from fenshen import threading

def ready():
    print("ready", flush=True)

def held(lock):
    thread = standard.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    return lock

def waited(condition, call, *args):
    with condition:
        return getattr(condition, call)(*args)
"""

# What is made first, and the call on it that blocks.
CALLS = {
    "Lock": ("held(threading.Lock())", "it.acquire()"),
    "Lock, timeout": ("held(threading.Lock())", "it.acquire(timeout=60)"),
    "Lock, with": ("held(threading.Lock())", "it.__enter__()"),
    "RLock": ("held(threading.RLock())", "it.acquire()"),
    "RLock, timeout": ("held(threading.RLock())", "it.acquire(timeout=60)"),
    "Condition": ("threading.Condition()", "waited(it, 'wait')"),
    "Condition, timeout": ("threading.Condition(threading.Lock())", "waited(it, 'wait', 60)"),
    "Condition, standard lock": ("threading.Condition(standard.Lock())", "waited(it, 'wait')"),
    "Condition, wait_for": ("threading.Condition()", "waited(it, 'wait_for', lambda: False)"),
    "Semaphore": ("threading.Semaphore(0)", "it.acquire()"),
    "Semaphore, timeout": ("threading.Semaphore(0)", "it.acquire(timeout=60)"),
    "BoundedSemaphore": ("threading.BoundedSemaphore(0)", "it.__enter__()"),
    "Event": ("threading.Event()", "it.wait()"),
    "Event, timeout": ("threading.Event()", "it.wait(60)"),
    "Barrier": ("threading.Barrier(2)", "it.wait()"),
    "Barrier, timeout": ("threading.Barrier(2)", "it.wait(60)"),
}
each_call = pytest.mark.parametrize(("made", "call"), list(CALLS.values()), ids=list(CALLS))


def until_asleep(process: subprocess.Popen[str]) -> None:
    """Wait until the main thread, which has said that it is ready, sleeps on a futex."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 60
    while True:
        with open(f"/proc/{process.pid}/syscall") as f:
            if f.read().startswith(f"{FUTEX} "):
                return
        assert time.monotonic() < deadline
        time.sleep(0.001)


@each_call
def test_ctrl_c(made: str, call: str) -> None:
    process = start(
        [
            *PYTHON,
            "-c",
            f"""{SETUP}
it = {made}
try:
    ready()
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
    os._exit(7)
""",
        ]
    )
    until_asleep(process)
    os.kill(process.pid, signal.SIGINT)
    assert end(process) == (7, "interrupted\n", "")


@each_call
def test_a_signal_handler_that_returns(made: str, call: str) -> None:
    """The call goes on as if nothing had been, and the handler can use locks."""
    process = start(
        [
            *PYTHON,
            "-c",
            f"""{SETUP}
handled = []
def handler(*args):
    with threading.Lock(), threading.RLock(), threading.Semaphore():
        handled.append(1)
    os.write(1, b"handled\\n")  # print() bears no second signal meanwhile

signal.signal(signal.SIGUSR1, handler)
it = {made}
try:
    ready()
    {call}
except KeyboardInterrupt:
    print("interrupted", len(handled), flush=True)
    os._exit(7)
""",
        ]
    )
    until_asleep(process)
    for _ in range(3):
        os.kill(process.pid, signal.SIGUSR1)
        assert process.stdout is not None
        assert process.stdout.readline() == "handled\n"
    os.kill(process.pid, signal.SIGINT)
    assert end(process) == (7, "interrupted 3\n", "")


def test_daemons_in_them_when_the_interpreter_ends() -> None:
    blocks = "\n".join(f"        ({made}, lambda it: {call})," for made, call in CALLS.values())
    status, out, err = run(
        [
            *PYTHON,
            "-c",
            f"""{SETUP}
begun = []
def daemon(it, block):
    begun.append(1)
    block(it)

for made, block in [
{blocks}
] * 3:
    standard.Thread(target=daemon, args=(made, block), daemon=True).start()
while len(begun) < {3 * len(CALLS)}:
    time.sleep(0.001)
time.sleep(0.05)
print("the end")
""",
        ]
    )
    assert (status, out, err) == (0, "the end\n", "")


def test_those_who_are_woken_while_the_interpreter_ends() -> None:
    """Daemons are woken, and wake others, as modules are torn down."""
    for _ in range(5):
        status, out, err = run(
            [
                *PYTHON,
                "-c",
                f"""{SETUP}
barrier, ping, pong = threading.Barrier(3), threading.Event(), threading.Event()
semaphore, condition = threading.Semaphore(2), threading.Condition()

def meet():
    while True:
        barrier.wait()

def play(mine, other):
    while True:
        mine.wait(); mine.clear(); other.set()

def take():
    while True:
        with semaphore, condition:
            condition.notify()
            condition.wait(0.0005)

targets = [(meet,)] * 3 + [(play, ping, pong), (play, pong, ping)] + [(take,)] * 4
for target, *args in targets:
    standard.Thread(target=target, args=args, daemon=True).start()
ping.set()
time.sleep(0.05)
print("the end")
""",
            ]
        )
        assert (status, out, err) == (0, "the end\n", "")


def test_a_forked_child_is_free_of_those_who_waited() -> None:
    """What nobody holds works in the child at once, whoever waited for it in the parent; a lock that a thread of the
    parent held stays held."""
    status, out, err = run(
        [
            *PYTHON,
            "-W",
            "ignore",
            "-c",
            f"""{SETUP}
lock, rlock = held(threading.Lock()), held(threading.RLock())
semaphore, event, condition = threading.Semaphore(0), threading.Event(), threading.Condition()
barrier = threading.Barrier(3)
for block in (
    lock.acquire, rlock.acquire, semaphore.acquire, event.wait, lambda: waited(condition, "wait"), barrier.wait
):
    standard.Thread(target=block, daemon=True).start()
while barrier.n_waiting == 0 or not condition._waiters:
    time.sleep(0.001)
time.sleep(0.05)
child = os.fork()
if child == 0:
    assert not lock.acquire(timeout=0.01) and not rlock.acquire(timeout=0.01)
    lock._at_fork_reinit(); rlock._at_fork_reinit()
    assert lock.acquire(False) and rlock.acquire(False)
    semaphore.release()
    assert semaphore._value == 1 and semaphore.acquire(False)
    assert not event.wait(0.01)
    event.set()
    assert event.wait()
    assert not condition._waiters
    with condition:
        condition.notify()
        assert not condition.wait(0.01)
    barrier.reset()
    threads = [standard.Thread(target=barrier.wait, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    barrier.wait(60)
    print("the child is well", flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1], flush=True)
os._exit(0)
""",
        ]
    )
    assert (status, out, err) == (0, "the child is well\n0\n", "")
