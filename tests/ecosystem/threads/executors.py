"""concurrent.futures with threads: submit, map, as_completed, wait, call-backs, cancels, initializers, errors with
their tracebacks, pools in pools, futures made by hand, an executor of one's own.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import (
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Executor,
    Future,
    ThreadPoolExecutor,
    as_completed,
    wait,
)

from engine import checked

SECONDS = 30


def square(number: int) -> int:
    return number * number


def fail(number: int) -> None:
    raise LookupError(number)


def results() -> None:
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="w") as pool:
        print(sum(pool.map(square, range(1000))), list(pool.map(pow, [2, 3], [5, 2])))
        jobs = {pool.submit(square, number): number for number in range(200)}
        print(all(job.result() == jobs[job] ** 2 for job in as_completed(jobs, timeout=SECONDS)))
        names = set(pool.map(lambda _: threading.current_thread().name, range(100)))
        print(names <= {f"w_{number}" for number in range(4)}, pool._max_workers, len(pool._threads) <= 4)
        try:
            list(pool.map(lambda number: 10 // (number - 2), range(5)))
        except ZeroDivisionError as e:
            print(e, traceback.extract_tb(e.__traceback__)[-1].name)
        gate = threading.Event()
        blocked = pool.map(lambda _: gate.wait(), range(2), timeout=0.05)
        try:
            next(blocked)
        except concurrent.futures.TimeoutError as e:
            print(repr(e), concurrent.futures.TimeoutError is TimeoutError or sys.version_info < (3, 11))
        gate.set()


def waits() -> None:
    gate = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        slow, quick = pool.submit(gate.wait), pool.submit(square, 3)
        done, waiting = wait([slow, quick], SECONDS, FIRST_COMPLETED)
        print(done == {quick}, waiting == {slow}, done.__class__.__name__, slow.running())
        wrong = pool.submit(fail, 1)
        done, waiting = wait([slow, wrong], SECONDS, FIRST_EXCEPTION)
        print(done == {wrong}, repr(wrong.exception()), wrong.done())
        print([len(part) for part in wait([slow, quick], timeout=0)])
        try:
            for _ in as_completed([slow, quick], timeout=0.02):
                pass
        except TimeoutError as e:
            print(e)
        gate.set()
        print(wait([slow]).not_done, slow.result())


def cancels() -> None:
    gate, begun = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: begun.set() or gate.wait())
        begun.wait(SECONDS)
        rest = [pool.submit(square, number) for number in range(5)]
        print([job.cancel() for job in rest[:3]], first.cancel(), rest[0].cancelled(), rest[3])
        said: list[str] = []
        rest[3].add_done_callback(lambda job: said.append(f"done {job.result()}"))
        rest[1].add_done_callback(lambda job: said.append(f"cancelled {job.cancelled()}"))
        gate.set()
    print(said, [job.result() for job in rest[3:]])
    try:
        rest[0].result()
    except concurrent.futures.CancelledError as e:
        print(repr(e))
    pool = ThreadPoolExecutor(1)
    gate.clear()
    begun.clear()
    first = pool.submit(lambda: begun.set() or gate.wait())
    begun.wait(SECONDS)
    rest = [pool.submit(square, number) for number in range(5)]
    pool.shutdown(wait=False, cancel_futures=True)
    print([job.cancelled() for job in rest], first.done())
    gate.set()
    print(first.result(SECONDS))
    with contextlib.suppress(RuntimeError):
        print(pool.submit(square, 1))


def initializers() -> None:
    store = threading.local()

    def begin(value: int) -> None:
        store.value = value

    with ThreadPoolExecutor(3, initializer=begin, initargs=(7,)) as pool:
        print(set(pool.map(lambda _: store.value, range(50))))
    logging.getLogger("concurrent.futures").setLevel(logging.CRITICAL + 1)
    with ThreadPoolExecutor(2, initializer=lambda: 1 / 0) as pool:
        job = pool.submit(square, 1)
        print(repr(job.exception(SECONDS)))
        try:
            while True:
                pool.submit(square, 2)
        except concurrent.futures.thread.BrokenThreadPool as e:
            print(e, isinstance(e, concurrent.futures.BrokenExecutor))


def nested() -> None:
    def count(depth: int) -> int:
        with ThreadPoolExecutor(2) as pool:
            return 1 + sum(pool.map(count, [depth - 1] * 2)) if depth else 1

    print(count(5))
    with ThreadPoolExecutor(2) as pool:
        chain = pool.submit(lambda: pool.submit(lambda: pool.submit(square, 4)))
        print(chain.result().result().result())


def called_back() -> None:
    logging.getLogger("concurrent.futures").addHandler(handler := Kept())
    logging.getLogger("concurrent.futures").setLevel(logging.ERROR)
    order: list[int] = []
    future: Future[int] = Future()
    for number in range(3):
        future.add_done_callback(lambda _, number=number: order.append(number))
    future.add_done_callback(lambda _: fail(5))
    future.add_done_callback(lambda job: order.append(job.result()))
    setter = threading.Thread(target=lambda: future.set_running_or_notify_cancel() and future.set_result(9))
    setter.start()
    print(future.result(SECONDS))
    setter.join()
    future.add_done_callback(lambda _: order.append(10))
    print(order, handler.kept)


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.kept.append((record.getMessage().partition(" for ")[0], repr(error)))


class Immediate(Executor):
    """Runs what it is given at once, in the thread that gives it."""

    def submit(self, fn: Callable[..., object], /, *args: object, **named: object) -> Future:
        future: Future = Future()
        try:
            future.set_result(fn(*args, **named))
        except BaseException as e:
            future.set_exception(e)
        return future


class Slow(ThreadPoolExecutor):
    """A pool that counts, as people derive them."""

    count = 0

    def submit(self, fn: Callable[..., object], /, *args: object, **named: object) -> Future:
        self.count += 1
        return super().submit(fn, *args, **named)


def derived() -> None:
    with Immediate() as pool:
        print(list(pool.map(square, range(4))), repr(pool.submit(fail, 2).exception()))
        print(len(wait([pool.submit(square, 1), pool.submit(fail, 1)]).done), isinstance(pool, Executor))
    with Slow(2) as pool:
        print(list(pool.map(square, range(4))), pool.count, isinstance(pool, ThreadPoolExecutor))
    jobs: list[Future[int]] = [Future() for _ in range(3)]

    def fulfil() -> None:
        for number, job in enumerate(jobs):
            job.set_running_or_notify_cancel()
            time.sleep(0.01)
            job.set_result(number)

    thread = threading.Thread(target=fulfil)
    thread.start()
    print([job.result() for job in as_completed(jobs, SECONDS)], [job.done() for job in jobs])
    thread.join()


@checked
def main() -> None:
    for part in (results, waits, cancels, initializers, nested, called_back, derived):
        part()


if __name__ == "__main__":
    main()
