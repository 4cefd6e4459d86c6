"""pebble's thread pool, decorators and synchronised functions."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, as_completed

from engine import checked
from pebble import ThreadPool, sighandler, synchronized, waitforthreads
from pebble.concurrent import thread

SECONDS = 30
total = 0


@synchronized
def add(number: int) -> None:
    global total
    before = total
    time.sleep(0)
    total = before + number


@thread
def late(number: int) -> int:
    if number < 0:
        raise LookupError(number)
    return number * 2


@thread(pool=ThreadPool(max_workers=2))
def pooled(number: int) -> int:
    return number + 1


@checked
def main() -> None:
    with ThreadPool(max_workers=4) as pool:
        jobs = [pool.schedule(add, args=(number,)) for number in range(200)]
        print(all(job.result(SECONDS) is None for job in jobs), total)
        print(sum(pool.map(abs, range(-50, 0), chunksize=7).result()))
        broken = pool.submit(divmod, 1, 0)
        print(repr(broken.exception(SECONDS)))
        pool.close()
        pool.join(SECONDS)
        print(pool.active)
    print(late(4).result(SECONDS), repr(late(-1).exception(SECONDS)), pooled(1).result(SECONDS))
    print(sorted(job.result() for job in as_completed([late(number) for number in range(20)], SECONDS))[-1])
    pool, gate, begun = ThreadPool(max_workers=1), threading.Event(), threading.Event()
    first = pool.schedule(lambda: begun.set() or gate.wait())
    begun.wait(SECONDS)
    second = pool.schedule(abs, args=(1,))
    print(second.cancel())
    gate.set()
    pool.stop()
    pool.join(SECONDS)
    try:
        second.result(SECONDS)
    except CancelledError as e:
        print(type(e).__name__, first.done())
    threads = [threading.Thread(target=time.sleep, args=(delay,)) for delay in (0.0, 0.05)]
    for each in threads:
        each.start()
    print(len(list(waitforthreads(threads, timeout=SECONDS))) >= 1, callable(sighandler))
    for each in threads:
        each.join()


if __name__ == "__main__":
    main()
