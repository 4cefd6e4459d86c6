"""Random legal programs, one after another in one process: `legal.py seed count`. Run under `fenshen run`.

Each hands locks to other threads, waits for what a signal handler or a C thread does, and so on: none of them may be
taken for a deadlock. The last line printed is the number of programs that ended as they should.
"""

from __future__ import annotations

import ctypes
import queue
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Chance = random.Random


def started(*targets: Callable[[], object], daemon: bool = False) -> list[threading.Thread]:
    threads = [threading.Thread(target=target, daemon=daemon) for target in targets]
    for thread in threads:
        thread.start()
    return threads


def a_while(chance: Chance) -> None:
    time.sleep(chance.choice((0, 0, 0.0005, 0.002)))


def hand_over(chance: Chance) -> None:
    """A lock that one thread takes and another releases, round and round."""
    locks = [threading.Lock() for _ in range(chance.randint(1, 4))]
    for lock in locks:
        lock.acquire()
    rounds = chance.randint(1, 3)

    def wait() -> None:
        for _ in range(rounds):
            for lock in locks:
                lock.acquire()

    def give() -> None:
        for _ in range(rounds):
            for lock in locks:
                a_while(chance)
                while not lock.locked():
                    time.sleep(0.0002)
                lock.release()

    for thread in started(wait, give):
        thread.join()


def daemons_and_join(chance: Chance) -> None:
    """Daemon workers that wait for more for ever, and a main thread that joins the queue."""
    q: queue.Queue[int] = queue.Queue(chance.choice((0, 1, 3)))

    def work() -> None:
        while q.get() >= 0:
            a_while(chance)
            q.task_done()
        q.task_done()

    workers = chance.randint(1, 4)
    started(*[work] * workers, daemon=True)
    for i in range(chance.randint(1, 12)):
        q.put(i)
    q.join()
    for _ in range(workers):
        q.put(-1)
    q.join()


def signal_sets(chance: Chance) -> None:
    """Everybody waits for an event that a signal handler sets."""
    event = threading.Event()
    before = signal.signal(signal.SIGALRM, lambda *_: event.set())
    threads = started(*[event.wait] * chance.randint(0, 2))
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.005, 0.03))
    event.wait()
    for thread in threads:
        thread.join()
    signal.signal(signal.SIGALRM, before)


libc = ctypes.CDLL(None)
ROUTINE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)


def c_thread_sets(chance: Chance) -> None:
    """Everybody waits for what a thread does that Python knows nothing of yet."""
    event, lock = threading.Event(), threading.Lock()
    lock.acquire()

    def routine(_: object) -> None:
        event.set()
        lock.release()

    kept = ROUTINE(routine)
    number = ctypes.c_ulong()
    sleeps = chance.random() < 0.5
    if sleeps:
        # It sleeps in C first, long enough for all others to wait.
        plain = ctypes.PyDLL(None)
        plain.usleep.argtypes = [ctypes.c_uint]

        def slow(argument: object) -> None:
            time.sleep(0.01)
            routine(argument)

        kept = ROUTINE(slow)
    assert libc.pthread_create(ctypes.byref(number), None, kept, None) == 0
    threads = started(*[event.wait] * chance.randint(0, 2))
    chance.choice((event.wait, lock.acquire))()
    for thread in threads:
        thread.join()
    libc.pthread_join(number, None)


def timeouts(chance: Chance) -> None:
    """A ring of locks whose waits have timeouts."""
    count = chance.randint(1, 4)
    locks = [threading.Lock() for _ in range(count)]
    barrier = threading.Barrier(count)

    def take(i: int) -> None:
        with locks[i]:
            barrier.wait()
            if locks[(i + 1) % count].acquire(timeout=chance.uniform(0.001, 0.02)):
                locks[(i + 1) % count].release()

    for thread in started(*(lambda i=i: take(i) for i in range(count))):
        thread.join()


def conditions(chance: Chance) -> None:
    """Producers and consumers around a condition, and a semaphore as a signal."""
    condition, ready = threading.Condition(), threading.Semaphore(0)
    items: list[int] = []
    total = chance.randint(1, 10)

    def produce() -> None:
        for i in range(total):
            a_while(chance)
            with condition:
                items.append(i)
                condition.notify()
        ready.release()

    def consume() -> None:
        for _ in range(total):
            with condition:
                condition.wait_for(lambda: items)
                items.pop()

    threads = started(produce, consume)
    ready.acquire()
    for thread in threads:
        thread.join()


def nested(chance: Chance) -> None:
    """Re-entrant locks in one order, taken again and again."""
    locks = [threading.RLock() for _ in range(chance.randint(1, 4))]

    def work() -> None:
        for _ in range(3):
            some = [lock for lock in locks if chance.random() < 0.7]
            for lock in some:
                lock.acquire()
                lock.acquire()
            a_while(chance)
            for lock in reversed(some):
                lock.release()
                lock.release()

    for thread in started(*[work] * chance.randint(2, 4)):
        thread.join()


def joins(chance: Chance) -> None:
    """Threads that start threads and wait for their ends; the last one works, or is a timer."""

    def chain(depth: int) -> None:
        if depth:
            started(lambda: chain(depth - 1))[0].join()
        else:
            timer = threading.Timer(chance.uniform(0, 0.01), int)
            timer.start()
            timer.join()

    chain(chance.randint(0, 4))


def pools(chance: Chance) -> None:
    """Jobs that wait for each other, in a pool that is large enough."""
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(a_while, chance)
        second = pool.submit(first.result)
        assert second.result() is None
        assert sum(pool.map(abs, range(chance.randint(1, 20)))) >= 0


def late_help(chance: Chance) -> None:
    """The main thread waits for an event; a daemon thread that sleeps is all there is."""
    event = threading.Event()

    def help_at_last() -> None:
        time.sleep(chance.uniform(0, 0.01))
        event.set()

    started(help_at_last, daemon=True)
    event.wait()


def barriers(chance: Chance) -> None:
    """Rounds at a barrier."""
    count = chance.randint(1, 5)
    barrier = threading.Barrier(count)

    def rounds() -> None:
        for _ in range(3):
            barrier.wait()

    for thread in started(*[rounds] * count):
        thread.join()


KINDS = (hand_over, daemons_and_join, signal_sets, c_thread_sets, timeouts, conditions, nested, joins, pools, late_help)
KINDS += (barriers,)


def main() -> None:
    seed, count = map(int, sys.argv[1:3])
    failed: list[object] = []
    threading.excepthook = failed.append
    for i in range(count):
        chance = Chance(seed + i)
        chance.choice(KINDS)(chance)
        if failed:
            sys.exit(f"program {seed + i}: {failed}")
    print(count)


if __name__ == "__main__":
    main()
