"""threading.Timer: timers that fire, that are cancelled, that start others, that repeat; sched in several threads."""

from __future__ import annotations

import queue
import sched
import threading
import time

from engine import checked

SECONDS = 30


def fired() -> None:
    seen: queue.Queue[str] = queue.Queue()
    timers = [threading.Timer(delay, seen.put, [name]) for name, delay in (("c", 0.3), ("a", 0.0), ("b", 0.15))]
    dropped = threading.Timer(0.05, seen.put, kwargs={"item": "never"})
    began = time.monotonic()
    for timer in (*timers, dropped):
        timer.start()
    dropped.cancel()
    print([seen.get(timeout=SECONDS) for _ in timers], time.monotonic() - began >= 0.3)
    for timer in (*timers, dropped):
        timer.join(SECONDS)
    print(seen.qsize(), [timer.finished.is_set() for timer in (*timers, dropped)])
    far = threading.Timer(1000, print)
    far.daemon = True
    far.start()
    print(far.is_alive(), isinstance(far, threading.Thread))
    far.cancel()
    far.join(SECONDS)
    print(far.is_alive())


def chained() -> None:
    """Each starts the next, from its own thread."""
    done = threading.Event()
    steps = []

    def step(number: int) -> None:
        steps.append(number)
        if number == 5:
            done.set()
        else:
            threading.Timer(0.01, step, (number + 1,)).start()

    step(0)
    print(done.wait(SECONDS), steps)


class Repeating(threading.Timer):
    """The recipe that everyone copies: `finished` doubles as the clock."""

    def run(self) -> None:
        while not self.finished.wait(self.interval):
            self.function(*self.args, **self.kwargs)


def repeated() -> None:
    ticks = threading.Semaphore(0)
    timer = Repeating(0.01, ticks.release)
    timer.start()
    print(all(ticks.acquire(timeout=SECONDS) for _ in range(10)))
    timer.cancel()
    timer.join(SECONDS)
    print(timer.is_alive())


def schedulers() -> None:
    """One scheduler that is run by one thread and fed by others, and whose clock is a queue's timeout."""
    stop = threading.Event()
    scheduler = sched.scheduler(time.monotonic, stop.wait)
    done: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()

    def feed(number: int) -> None:
        for step in range(20):
            scheduler.enter(0.001 * step, number, done.put, (((number, step)),))

    feeders = [threading.Thread(target=feed, args=(number,)) for number in range(4)]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join()
    late = scheduler.enter(1000, 1, print)
    print(len(scheduler.queue) > 0)
    scheduler.cancel(late)
    runner = threading.Thread(target=scheduler.run)
    runner.start()
    runner.join(SECONDS)
    print(sorted({done.get() for _ in range(80)}) == [(n, s) for n in range(4) for s in range(20)], scheduler.empty())


@checked
def main() -> None:
    for part in (fired, chained, repeated, schedulers):
        part()


if __name__ == "__main__":
    main()
