"""joblib's back ends of processes: loky with lambdas and large arrays, multiprocessing, generators, errors, limits."""

import math
import time

import joblib
import numpy as np
from joblib import Parallel, delayed, parallel_config

SECONDS = 60


def fail(number):
    if number == 3:
        raise LookupError(number, "three")
    return number


def total(array, row):
    return float(array[row].sum()), type(array).__name__


def nested(number):
    return sum(Parallel(n_jobs=2, prefer="threads")(delayed(math.sqrt)(n * n) for n in range(number)))


def main():
    big = np.arange(1_000_000, dtype=float).reshape(10, -1)
    for backend in ("loky", "multiprocessing"):
        with parallel_config(backend=backend, n_jobs=2):
            print(backend, sum(Parallel()(delayed(math.sqrt)(n * n) for n in range(500))))
            try:
                Parallel()(delayed(fail)(n) for n in range(6))
            except LookupError as e:
                print("LookupError", e.args)
            print(Parallel(batch_size=3)(delayed(fail)(n) for n in range(3)))
            rows = Parallel(max_nbytes=100_000, mmap_mode="r")(delayed(total)(big, row) for row in range(10))
            print(sum(value for value, _ in rows) == big.sum(), sorted({kind for _, kind in rows}))
            print(Parallel()(delayed(nested)(n) for n in range(4)))
    print(Parallel(2)(delayed(lambda x, y=2: x * y)(n) for n in range(5)))
    lines = Parallel(2, return_as="generator")(delayed(abs)(-n) for n in range(20))
    print(next(lines), sum(lines))
    print(sorted(Parallel(2, return_as="generator_unordered")(delayed(abs)(-n) for n in range(9))))
    try:
        Parallel(2, timeout=0.2)(delayed(time.sleep)(s) for s in (0, 5))
    except Exception as e:
        print(type(e).__name__)
    memory = joblib.Memory("cache", verbose=0)
    cached = memory.cache(fail)
    print(Parallel(2)(delayed(cached)(n) for n in (1, 2, 1, 2)))
    print(joblib.effective_n_jobs(2), joblib.hash(big) == joblib.hash(big.copy()))


if __name__ == "__main__":
    main()
