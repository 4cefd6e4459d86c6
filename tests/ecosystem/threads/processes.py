"""multiprocessing's own threads: a queue's feeder, a pool's handlers, a manager's server, an executor's manager; used
from several threads at once.
"""

from __future__ import annotations

import multiprocessing
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from engine import checked

SECONDS = 30


def square(number: int) -> int:
    return number * number


def double(jobs: multiprocessing.Queue, results: multiprocessing.Queue) -> None:
    for number in iter(jobs.get, None):
        results.put(number * 2)


def queues(context: multiprocessing.context.BaseContext) -> None:
    jobs, results = context.Queue(5), context.Queue()
    workers = [context.Process(target=double, args=(jobs, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    feeders = [threading.Thread(target=lambda: [jobs.put(n) for n in range(100)]) for _ in range(3)]
    for feeder in feeders:
        feeder.start()
    print(sum(results.get(timeout=SECONDS) for _ in range(300)))
    for feeder in feeders:
        feeder.join()
    for _ in workers:
        jobs.put(None)
    for worker in workers:
        worker.join(SECONDS)
    print([worker.exitcode for worker in workers])


def pools(context: multiprocessing.context.BaseContext) -> None:
    with context.Pool(2) as pool, ThreadPoolExecutor(4) as threads:
        print(sum(threads.map(lambda number: pool.apply(square, (number,)), range(50))))
    with ProcessPoolExecutor(2, mp_context=context) as pool, ThreadPoolExecutor(4) as threads:
        print(sum(threads.map(lambda number: pool.submit(square, number).result(SECONDS), range(50))))
        print(sum(pool.map(square, range(50), chunksize=10)))


def managed(context: multiprocessing.context.BaseContext) -> None:
    with context.Manager() as manager:
        counts, lock, items = manager.dict(total=0), manager.Lock(), manager.Queue()

        def work(number: int) -> None:
            with lock:
                counts["total"] += number
            items.put(number)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(work, range(20)))
        print(counts["total"], sum(items.get() for _ in range(20)))


@checked
def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a process with threads, from 3.12 on
    context = multiprocessing.get_context("fork")
    queues(context)
    pools(context)
    managed(context)
    print(len(multiprocessing.active_children()))


if __name__ == "__main__":
    main()
