"""Ray on this machine: tasks, an actor, objects, errors, what waits."""

import numpy as np
import ray


@ray.remote
def square(number):
    return number * number


@ray.remote
def total(array):
    return float(array.sum()), array.flags.writeable


@ray.remote(max_retries=0)
def fail():
    raise ValueError("as asked")


@ray.remote
class Counter:
    def __init__(self):
        self.number = 0

    def add(self, amount):
        self.number += amount
        return self.number


def main():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error", configure_logging=False)
    try:
        print(ray.get([square.remote(n) for n in range(20)]))
        array = ray.put(np.ones(1_000_000))
        print(ray.get([total.remote(array) for _ in range(3)]))
        counter = Counter.remote()
        print(ray.get([counter.add.remote(n) for n in range(5)]))
        ready, rest = ray.wait([square.remote(n) for n in range(4)], num_returns=2, timeout=60)
        print(len(ready), len(rest))
        try:
            ray.get(fail.remote())
        except ValueError as e:
            print(type(e).__name__, "as asked" in str(e))
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
