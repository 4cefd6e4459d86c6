"""Signal handlers beside threads: they set events, put into queues, release semaphores and locks, and raise, while the
main thread waits in each of the calls that people wait in.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from engine import checked

SECONDS = 30


def soon(number: int) -> None:
    """Send ourselves a signal when the main thread has had time to block."""
    time.sleep(0.05)
    os.kill(os.getpid(), number)


def woken(name: str, handler: Callable[..., object], wait: Callable[[], object]) -> None:
    """The main thread waits, and what the handler does is what it waits for."""
    signal.signal(signal.SIGUSR1, handler)
    thread = threading.Thread(target=soon, args=(signal.SIGUSR1,))
    thread.start()
    print(name, wait())
    thread.join()


def wake_ups() -> None:
    event, waker = threading.Event(), queue.SimpleQueue()
    semaphore, lock = threading.Semaphore(0), threading.Lock()
    woken("event", lambda *_: event.set(), event.wait)
    woken("event, in time", lambda *_: event.set(), lambda: event.clear() or event.wait(SECONDS))
    woken("simple queue", lambda number, _: waker.put(number), lambda: waker.get() == signal.SIGUSR1)
    woken("semaphore", lambda *_: semaphore.release(), semaphore.acquire)
    lock.acquire()
    woken("lock", lambda *_: lock.release(), lambda: lock.acquire(timeout=SECONDS))
    future: Future[int] = Future()
    woken("future", lambda *_: future.set_result(7), future.result)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    woken("join", lambda *_: stop.set(), thread.join)


class Stop(Exception):
    """What a handler raises."""


def refuse(*_: object) -> None:
    raise Stop


def interrupted(name: str, wait: Callable[[], object]) -> None:
    """A handler that raises ends the wait."""
    signal.signal(signal.SIGUSR1, refuse)
    thread = threading.Thread(target=soon, args=(signal.SIGUSR1,))
    thread.start()
    try:
        print(name, "returned", wait())
    except Stop:
        print(name, "was interrupted")
    thread.join()


def interruptions() -> None:
    full: queue.Queue[int] = queue.Queue(1)
    full.put(1)
    condition, lock, held = threading.Condition(), threading.Lock(), threading.RLock()
    lock.acquire()
    release = threading.Event()

    def hold() -> None:
        with held:
            release.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    while held.acquire(blocking=False):
        held.release()
        time.sleep(0.001)

    def notified() -> bool:
        with condition:
            return condition.wait()

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(release.wait)
        waits = {
            "event": threading.Event().wait,
            "condition": notified,
            "lock": lock.acquire,
            "lock, in time": lambda: lock.acquire(timeout=SECONDS),
            "rlock": held.acquire,
            "semaphore": threading.Semaphore(0).acquire,
            "barrier": threading.Barrier(2).wait,
            "put": lambda: full.put(2),
            "get": queue.Queue().get,
            "get, in time": lambda: queue.LifoQueue().get(timeout=SECONDS),
            "simple get": queue.SimpleQueue().get,
            "queue's join": full.join,
            "join": holder.join,
            "result": job.result,
        }
        for name, wait in waits.items():
            interrupted(name, wait)
        release.set()
    print(full.qsize(), lock.locked(), job.result(), condition.acquire(blocking=False))


def often() -> None:
    """A timer's signal every few milliseconds, while the main thread takes what others put."""
    ticks, items = 0, queue.Queue(4)

    def tick(*_: object) -> None:
        nonlocal ticks
        ticks += 1

    signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    producers = [threading.Thread(target=lambda: [items.put(n) for n in range(2000)]) for _ in range(2)]
    for producer in producers:
        producer.start()
    total = sum(items.get() for _ in range(4000))
    while ticks < 5:
        time.sleep(0.002)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for producer in producers:
        producer.join()
    print(total, ticks >= 5)


def keyboard() -> None:
    try:
        threading.Thread(target=soon, args=(signal.SIGINT,)).start()
        threading.Event().wait()
    except KeyboardInterrupt:
        print("Ctrl-C")


def waited() -> None:
    """A thread that takes signals by `sigwait`, as servers do."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM})
    got: queue.Queue[str] = queue.Queue()

    def take() -> None:
        while (number := signal.sigwait({signal.SIGUSR2, signal.SIGTERM})) != signal.SIGTERM:
            got.put(signal.Signals(number).name)
        got.put("the end")

    thread = threading.Thread(target=take)
    thread.start()
    os.kill(os.getpid(), signal.SIGUSR2)
    print(got.get())
    signal.pthread_kill(thread.ident, signal.SIGTERM)
    print(got.get())
    thread.join()


@checked
def main() -> None:
    for part in (wake_ups, interruptions, often, keyboard, waited):
        part()


if __name__ == "__main__":
    main()
