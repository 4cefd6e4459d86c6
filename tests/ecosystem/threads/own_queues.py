"""Queues that people make of the standard ones: `_init`, `_put`, `_get` and `_qsize` overridden, the inner deque and
the mutex used from outside, a queue's conditions waited on, a finaliser that puts.
"""

from __future__ import annotations

import collections
import gc
import heapq
import queue
import threading

from engine import checked

SECONDS = 30


class Unique(queue.Queue):
    """Takes each item once."""

    def _init(self, maxsize: int) -> None:
        self.queue = collections.OrderedDict()

    def _put(self, item: object) -> None:
        self.queue[item] = None

    def _get(self) -> object:
        return self.queue.popitem(last=False)[0]


class Stable(queue.PriorityQueue):
    """Equal priorities come out as they came in."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.count = 0

    def _put(self, item: tuple[int, str]) -> None:
        self.count += 1
        heapq.heappush(self.queue, (item[0], self.count, item[1]))

    def _get(self) -> tuple[int, str]:
        priority, _, name = heapq.heappop(self.queue)
        return priority, name


class Evicting(queue.Queue):
    """Full, it forgets the oldest."""

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        while True:
            try:
                return super().put(item, block=False)
            except queue.Full:
                self.get_nowait()


class Set(queue.Queue):
    def _init(self, maxsize: int) -> None:
        self.queue = set()

    def _qsize(self) -> int:
        return len(self.queue)

    def _put(self, item: object) -> None:
        self.queue.add(item)

    def _get(self) -> object:
        return self.queue.pop()


def overridden() -> None:
    unique = Unique()
    for word in ["a", "b", "a", "c", "b", "d"]:
        unique.put(word)
    print([unique.get() for _ in range(unique.qsize())], unique.empty())
    stable = Stable()
    for item in ((2, "x"), (1, "b"), (2, "a"), (1, "a")):
        stable.put(item)
    print([stable.get() for _ in range(4)])
    evicting = Evicting(3)
    threads = [threading.Thread(target=lambda: [evicting.put(n) for n in range(300)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(evicting.qsize(), evicting.full(), max(evicting.get() for _ in range(3)))
    items = Set()
    taken: list[object] = []
    taker = threading.Thread(target=lambda: [taken.append(items.get(timeout=SECONDS)) for _ in range(100)])
    taker.start()
    for number in range(100):
        items.put(number)
    taker.join()
    print(sorted(taken) == list(range(100)), items.qsize())


def from_outside() -> None:
    items: queue.Queue[int] = queue.Queue()
    for number in range(10):
        items.put(number)
    print(list(items.queue)[:3], items.queue[0], len(items.queue), items.queue.count(3), 4 in items.queue)
    with items.mutex:
        items.queue.clear()
        items.unfinished_tasks = 0
        items.all_tasks_done.notify_all()
    print(items.qsize(), items.empty())
    items.join()
    with items.mutex:
        items.queue.extend([5, 6])
        items.not_empty.notify(2)
    print(items.get(), items.get())
    taker = threading.Thread(target=lambda: print(items.get(timeout=SECONDS)))
    with items.mutex:
        taker.start()
        items.queue.append(7)
        items.not_empty.notify()
    taker.join()
    items.maxsize = 1
    items.put(1)
    print(items.full())

    def make_room() -> None:
        with items.not_full:
            items.queue.clear()
            items.not_full.notify()

    maker = threading.Timer(0.02, make_room)
    maker.start()
    items.put(2, timeout=SECONDS)
    maker.join()
    print(list(items.queue))


def waited_for() -> None:
    """Until a queue has a number of items: its condition, its mutex, and a predicate of the program's own."""
    items: queue.Queue[int] = queue.Queue()
    found = []

    def wait() -> None:
        with items.not_empty:
            while items._qsize() < 3:
                items.not_empty.wait(SECONDS)
            found.extend(items.queue)

    waiter = threading.Thread(target=wait)
    waiter.start()
    for number in range(3):
        items.put(number)
    waiter.join()
    print(found)


class Closing:
    """Says into a queue that it has gone."""

    def __init__(self, target: queue.SimpleQueue[str]) -> None:
        self.target = target
        self.itself = self

    def __del__(self) -> None:
        self.target.put("gone")


def finalised() -> None:
    """`SimpleQueue.put` may interrupt a `get` or a `put` of the same queue, in the same thread."""
    target: queue.SimpleQueue[str] = queue.SimpleQueue()
    gc.set_threshold(50)
    for number in range(2000):
        Closing(target)
        target.put(f"{number}")
    gc.set_threshold(700)
    gc.collect()
    seen = [target.get() for _ in range(4000)]
    print(seen.count("gone"), [item for item in seen if item != "gone"] == [str(n) for n in range(2000)])


@checked
def main() -> None:
    for part in (overridden, from_outside, waited_for, finalised):
        part()


if __name__ == "__main__":
    main()
