"""gevent's monkey patch: locks, queues and threads are then greenlets' own, whoever put theirs there before."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import queue  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402

import gevent  # noqa: E402
from engine import checked  # noqa: E402
from gevent.event import AsyncResult  # noqa: E402
from gevent.pool import Pool  # noqa: E402

SECONDS = 30


def locked() -> None:
    lock, total = threading.Lock(), 0

    def add(number: int) -> None:
        nonlocal total
        with lock:
            before = total
            time.sleep(0)
            total = before + number

    pool = Pool(20)
    pool.map(add, range(100))
    print(total)
    condition, seen = threading.Condition(), []

    def wait() -> None:
        with condition:
            condition.wait(SECONDS)
            seen.append(1)

    waiters = [gevent.spawn(wait) for _ in range(3)]
    gevent.sleep(0)
    with condition:
        condition.notify_all()
    gevent.joinall(waiters, SECONDS)
    print(len(seen))


def queued() -> None:
    items: queue.Queue[int | None] = queue.Queue(3)
    found: AsyncResult = AsyncResult()

    def consume() -> None:
        found.set(sum(iter(items.get, None)))

    thread = threading.Thread(target=consume)
    thread.start()
    for number in range(100):
        items.put(number)
    items.put(None)
    print(found.get(timeout=SECONDS))
    thread.join(SECONDS)
    print(thread.is_alive())


def waited() -> None:
    began, event = time.monotonic(), threading.Event()
    jobs = [gevent.spawn(time.sleep, 0.1) for _ in range(50)]
    gevent.spawn_later(0.02, event.set)
    print(event.wait(SECONDS))
    gevent.joinall(jobs, SECONDS)
    print(time.monotonic() - began < 4)
    with ThreadPoolExecutor(4) as pool:
        print(sum(pool.map(lambda number: time.sleep(0.001) or number, range(40))))
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    threading.Timer(0.01, done.put, (5,)).start()
    print(done.get(timeout=SECONDS), gevent.get_hub().threadpool.apply(pow, (2, 5)))


@checked
def main() -> None:
    for part in (locked, queued, waited):
        part()


if __name__ == "__main__":
    main()
