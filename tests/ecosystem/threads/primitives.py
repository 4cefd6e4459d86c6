"""What is built of locks and conditions, as courses teach it: a bounded buffer, readers and a writer, philosophers, a
barrier's phases, a rendezvous, a latch, a limiter, publishers and subscribers, a resource pool, a lazy singleton.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from engine import checked

SECONDS = 30


def together(*targets: Callable[[], object]) -> None:
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Buffer:
    """Two conditions on one lock."""

    def __init__(self, size: int) -> None:
        lock = threading.Lock()
        self.filled, self.emptied = threading.Condition(lock), threading.Condition(lock)
        self.items: collections.deque[int] = collections.deque()
        self.size = size

    def put(self, item: int) -> None:
        with self.emptied:
            while len(self.items) == self.size:
                self.emptied.wait()
            self.items.append(item)
            self.filled.notify()

    def get(self) -> int:
        with self.filled:
            self.filled.wait_for(lambda: self.items)
            item = self.items.popleft()
            self.emptied.notify()
            return item


def buffered() -> None:
    buffer, taken = Buffer(3), []
    lock = threading.Lock()

    def take() -> None:
        for _ in range(500):
            item = buffer.get()
            with lock:
                taken.append(item)

    together(*[lambda: [buffer.put(n) for n in range(500)]] * 4, *[take] * 4)
    print(sum(taken), len(taken))


class ReadWriteLock:
    """Readers together, a writer alone; a waiting writer goes before new readers."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.readers = self.waiting = 0
        self.writing = False

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        with self.condition:
            self.condition.wait_for(lambda: not self.writing and not self.waiting)
            self.readers += 1
        try:
            yield
        finally:
            with self.condition:
                self.readers -= 1
                self.condition.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        with self.condition:
            self.waiting += 1
            self.condition.wait_for(lambda: not self.writing and not self.readers)
            self.waiting -= 1
            self.writing = True
        try:
            yield
        finally:
            with self.condition:
                self.writing = False
                self.condition.notify_all()


def read_and_written() -> None:
    lock, values, torn = ReadWriteLock(), [0, 0], 0

    def write() -> None:
        for _ in range(100):
            with lock.alone():
                values[0] += 1
                time.sleep(0)
                values[1] += 1

    def read() -> None:
        nonlocal torn
        for _ in range(200):
            with lock.reading():
                torn += values[0] != values[1]

    together(write, write, *[read] * 4)
    print(values, torn)


def dined() -> None:
    forks, meals = [threading.Lock() for _ in range(5)], [0] * 5

    def philosopher(seat: int) -> None:
        first, second = sorted((seat, (seat + 1) % 5))
        for _ in range(200):
            with forks[first], forks[second]:
                meals[seat] += 1

    together(*[lambda seat=seat: philosopher(seat) for seat in range(5)])
    print(meals)


def phases() -> None:
    steps: list[str] = []
    barrier = threading.Barrier(4, action=lambda: steps.append("|"), timeout=SECONDS)
    indices, lock = [], threading.Lock()

    def work() -> None:
        for phase in range(5):
            steps.append(str(phase))
            index = barrier.wait()
            with lock:
                indices.append(index)

    together(*[work] * 4)
    print("".join(steps), sorted(indices) == sorted([0, 1, 2, 3] * 5), barrier.parties, barrier.n_waiting)
    broken = []

    def give_up() -> None:
        try:
            barrier.wait(0.02)
        except threading.BrokenBarrierError:
            broken.append(barrier.broken)

    together(give_up, give_up)
    barrier.reset()
    together(*[barrier.wait] * 4)
    print(broken, barrier.broken, steps[-1])


class Latch:
    """Opens when it has been counted down."""

    def __init__(self, count: int) -> None:
        self.count, self.condition = count, threading.Condition(threading.Lock())

    def count_down(self) -> None:
        with self.condition:
            self.count -= 1
            if not self.count:
                self.condition.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        with self.condition:
            return self.condition.wait_for(lambda: not self.count, timeout)


def latched() -> None:
    latch, order = Latch(3), []
    print(latch.wait(0.01))
    waiters = [lambda: order.append(latch.wait(SECONDS))] * 3
    together(*waiters, *[latch.count_down] * 3)
    print(order)


def limited() -> None:
    """A semaphore holds back all but three; what they share never sees a fourth."""
    places, lock = threading.BoundedSemaphore(3), threading.Lock()
    inside = most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with places:
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.0005)
                with lock:
                    inside -= 1

    together(*[work] * 8)
    print(most, inside, [places.acquire(timeout=0) for _ in range(4)])
    places.release(3)
    ping, pong, said = threading.Semaphore(1), threading.Semaphore(0), []
    together(
        lambda: [(ping.acquire(), said.append("ping"), pong.release()) for _ in range(3)],
        lambda: [(pong.acquire(), said.append("pong"), ping.release()) for _ in range(3)],
    )
    print(said)


class Pool:
    """Lends out what it has, and makes a thread wait for what it hasn't."""

    def __init__(self, things: list[str]) -> None:
        self.free, self.changed = things, threading.Condition()

    @contextlib.contextmanager
    def lend(self, timeout: float) -> Iterator[str]:
        with self.changed:
            if not self.changed.wait_for(lambda: self.free, timeout):
                raise TimeoutError("nothing is free")
            thing = self.free.pop()
        try:
            yield thing
        finally:
            with self.changed:
                self.free.append(thing)
                self.changed.notify()


def lent() -> None:
    pool, uses = Pool(["a", "b"]), collections.Counter()
    lock = threading.Lock()

    def use() -> None:
        for _ in range(50):
            with pool.lend(SECONDS) as thing, lock:
                uses[thing] += 1

    together(*[use] * 6)
    print(sum(uses.values()), sorted(pool.free))
    with pool.lend(1), pool.lend(1):
        try:
            with pool.lend(0.01):
                print("a third")
        except TimeoutError as e:
            print(e)


class Tree:
    """A lock that its thread takes again and again, on the way down."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.made = 0

    def grow(self, depth: int) -> int:
        with self.lock:
            self.made += 1
            return self.made if not depth else self.grow(depth - 1)

    @classmethod
    def instance(cls, _lock: threading.Lock = threading.Lock()) -> Tree:  # noqa: B008
        with _lock:
            if not hasattr(cls, "only"):
                time.sleep(0.001)
                cls.only = cls()
            return cls.only


def entered_again() -> None:
    tree = Tree()
    together(*[lambda: tree.grow(100)] * 5)
    print(tree.made, tree.lock.acquire(blocking=False))
    found: list[Tree] = []
    together(*[lambda: found.append(Tree.instance())] * 6)
    print(len(set(map(id, found))))
    stopping, beats = threading.Event(), []

    def beat() -> None:
        while not stopping.wait(0.005):
            beats.append(1)

    together(beat, lambda: time.sleep(0.05) or stopping.set())
    print(stopping.is_set(), len(beats) > 0, stopping.clear(), stopping.wait(0))


@checked
def main() -> None:
    for part in (buffered, read_and_written, dined, phases, latched, limited, lent, entered_again):
        part()


if __name__ == "__main__":
    main()
