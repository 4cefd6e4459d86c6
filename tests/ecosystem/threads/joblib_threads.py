"""joblib's threading backend: parallel calls, nested ones, generators, batches, failures, what all jobs share."""

from __future__ import annotations

import math
import threading
import time

from engine import checked
from joblib import Memory, Parallel, delayed, parallel_backend, parallel_config

SECONDS = 30


def fail(number: int) -> int:
    if number == 5:
        raise LookupError(number)
    return number


def inner(number: int) -> int:
    return sum(Parallel(n_jobs=2, backend="threading")(delayed(pow)(number, power) for power in range(3)))


@checked
def main() -> None:
    with Parallel(n_jobs=4, backend="threading") as parallel:
        print(sum(parallel(delayed(math.sqrt)(number * number) for number in range(1000))))
        print(parallel(delayed(inner)(number) for number in range(5)))
        lock, total = threading.Lock(), 0

        def add(number: int) -> None:
            nonlocal total
            with lock:
                before = total
                time.sleep(0)
                total = before + number

        parallel(delayed(add)(number) for number in range(200))
        print(total)
        try:
            parallel(delayed(fail)(number) for number in range(20))
        except LookupError as e:
            print(repr(e))
    with parallel_config(backend="threading", n_jobs=3):
        print(Parallel()(delayed(fail)(number) for number in range(4)))
    with parallel_backend("threading", n_jobs=2):
        print(Parallel(batch_size=7, pre_dispatch="all")(delayed(abs)(-number) for number in range(30))[-1])
    lines = Parallel(n_jobs=2, backend="threading", return_as="generator")(delayed(abs)(-number) for number in range(9))
    print(next(lines), list(lines))
    lines = Parallel(2, backend="threading", return_as="generator_unordered")(delayed(abs)(-n) for n in range(9))
    print(sorted(lines))
    meeting = threading.Barrier(3)
    print(sorted(Parallel(3, backend="threading")(delayed(meeting.wait)(SECONDS) for _ in range(3))))
    memory = Memory("cache", verbose=0)
    cached = memory.cache(inner)
    print(Parallel(4, backend="threading")(delayed(cached)(number % 3) for number in range(12)))
    try:
        gate = threading.Event()
        Parallel(2, backend="threading", timeout=0.05)(delayed(gate.wait)(SECONDS) for _ in range(2))
    except Exception as e:
        print(type(e).__name__)
    finally:
        gate.set()


if __name__ == "__main__":
    main()
