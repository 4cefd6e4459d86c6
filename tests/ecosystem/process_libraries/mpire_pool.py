"""mpire: workers with a state, shared objects, chunks, limits in time, insights off."""

import time

from mpire import WorkerPool


def scaled(shared, number):
    return number * shared["factor"]


def load(worker_state):
    worker_state["seen"] = 0


def count(worker_state, number):
    worker_state["seen"] += 1
    return worker_state["seen"] > 0 and number


def add(a, b=0):
    return a + b


def fail(number):
    if number == 2:
        raise ValueError("two")
    return number


def main():
    for method in ("fork", "spawn"):
        with WorkerPool(n_jobs=2, start_method=method) as pool:
            print(method, pool.map(add, [(n, 1) for n in range(6)]), sum(pool.imap(abs, range(-20, 0))))
    with WorkerPool(2, shared_objects={"factor": 3}) as pool:
        print(pool.map(scaled, range(5), chunk_size=2))
    with WorkerPool(2, use_worker_state=True, keep_alive=True) as pool:
        print(sorted(pool.imap_unordered(count, range(10), worker_init=load)))
    with WorkerPool(2) as pool:
        try:
            pool.map(fail, range(4))
        except ValueError as e:
            print("ValueError", str(e).strip().endswith("two"))
    with WorkerPool(2) as pool:
        print(pool.apply(add, (1,), {"b": 5}), pool.apply_async(add, (2, 3)).get(timeout=30))
        try:
            pool.apply(time.sleep, (5,), task_timeout=0.3)
        except TimeoutError as e:
            print(type(e).__name__)


if __name__ == "__main__":
    main()
