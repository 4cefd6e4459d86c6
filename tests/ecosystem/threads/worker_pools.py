"""Pools of workers on queues, as books have them: sentinels, `task_done` and `join`, priorities, back pressure, daemon
workers that wait for ever, pipelines, and 3.13's shutdown where there is one.
"""

from __future__ import annotations

import itertools
import queue
import random
import threading
from dataclasses import dataclass, field

from engine import checked

SECONDS = 30


def sentinels() -> None:
    jobs: queue.Queue[int | None] = queue.Queue(maxsize=10)
    results: queue.Queue[tuple[int, int]] = queue.Queue()

    def work() -> None:
        while (number := jobs.get()) is not None:
            results.put((number, number * number))

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for number in range(3000):
        jobs.put(number)
    for _ in workers:
        jobs.put(None)
    for worker in workers:
        worker.join()
    found = dict(results.get_nowait() for _ in range(results.qsize()))
    print(found == {n: n * n for n in range(3000)}, jobs.empty(), results.empty())


def joined() -> None:
    """Daemon workers that nobody stops: the program ends while they wait."""
    jobs: queue.LifoQueue[int] = queue.LifoQueue()
    lock, total, failures = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal total, failures
        while True:
            number = jobs.get()
            try:
                with lock:
                    total += 100 // (number % 10)
            except ZeroDivisionError:
                failures += 1
            finally:
                jobs.task_done()

    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    for number in range(2000):
        jobs.put(number)
    jobs.join()
    print(total, failures, jobs.unfinished_tasks)
    for number in range(1, 10):
        jobs.put(number)
    jobs.join()
    print(total, failures)


@dataclass(order=True)
class Job:
    priority: int
    number: int
    name: str = field(compare=False)


def priorities() -> None:
    jobs: queue.PriorityQueue[Job] = queue.PriorityQueue()
    generator, numbers = random.Random(3), itertools.count()
    ready, done = threading.Barrier(5), []

    def produce() -> None:
        ready.wait()
        for _ in range(200):
            jobs.put(Job(generator.randrange(10), next(numbers), "job"))

    producers = [threading.Thread(target=produce) for _ in range(4)]
    for producer in producers:
        producer.start()
    ready.wait()
    for producer in producers:
        producer.join()

    def consume() -> None:
        while True:
            try:
                done.append(jobs.get(timeout=0.01))
            except queue.Empty:
                return

    consumer = threading.Thread(target=consume)
    consumer.start()
    consumer.join()
    print(len(done), [job.priority for job in done] == sorted(job.priority for job in done))


def pipeline() -> None:
    """Three stages with small queues between them; a failure travels to the end as an item."""
    first, second, third = (queue.Queue(maxsize=2) for _ in range(3))

    def stage(source: queue.Queue, target: queue.Queue, change: object) -> None:
        for item in iter(source.get, None):
            try:
                target.put(item if isinstance(item, Exception) else change(item))  # type: ignore[operator]
            except ValueError as e:
                target.put(e)
        target.put(None)

    threads = [
        threading.Thread(target=stage, args=(first, second, int)),
        threading.Thread(target=stage, args=(second, third, lambda number: number + 1)),
    ]
    for thread in threads:
        thread.start()
    words = [str(number) if number != 70 else "seventy" for number in range(500)]
    feeder = threading.Thread(target=lambda: [first.put(word) for word in [*words, None]])
    feeder.start()
    found = list(iter(third.get, None))
    print(len(found), sum(item for item in found if isinstance(item, int)))
    print([str(item) for item in found if isinstance(item, Exception)])
    for thread in (*threads, feeder):
        thread.join()


def pressed() -> None:
    """A slow consumer holds its producers back, and those that will not wait are told."""
    items: queue.Queue[int] = queue.Queue(3)
    largest, refused = 0, 0
    for number in range(5):
        try:
            items.put(number, timeout=0.02)
        except queue.Full:
            refused += 1
    print(refused, items.full(), items.qsize())
    producers = [threading.Thread(target=lambda: [items.put(n) for n in range(100)]) for _ in range(5)]
    for producer in producers:
        producer.start()
    for _ in range(503):
        largest = max(largest, items.qsize())
        items.get(timeout=SECONDS)
    for producer in producers:
        producer.join()
    print(largest <= 3, items.qsize())


def shut_down() -> None:
    if not hasattr(queue, "ShutDown"):
        return
    jobs: queue.Queue[int] = queue.Queue(5)
    taken = []

    def work() -> None:
        try:
            while True:
                taken.append(jobs.get())
                jobs.task_done()
        except queue.ShutDown:
            pass

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for number in range(50):
        jobs.put(number)
    jobs.shutdown()
    jobs.join()
    for worker in workers:
        worker.join()
    print(sorted(taken) == list(range(50)))
    try:
        jobs.put(1)
    except queue.ShutDown as e:
        print(repr(e))


@checked
def main() -> None:
    for part in (sentinels, joined, priorities, pipeline, pressed):
        part()
    shut_down()


if __name__ == "__main__":
    main()
