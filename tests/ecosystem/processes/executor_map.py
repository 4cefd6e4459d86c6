"""ProcessPoolExecutor.map: order, chunks, several arguments, timeouts, errors on the way."""

import math
import time
from concurrent.futures import ProcessPoolExecutor, TimeoutError

PRIMES = [112272535095293, 112582705942171, 115280095190773, 1099726899285419]


def is_prime(n):
    if n % 2 == 0:
        return False
    return all(n % i for i in range(3, min(math.isqrt(n), 2000) + 1, 2))


def late(number):
    time.sleep(0.02 * (5 - number))
    return number


def sleeps(seconds):
    time.sleep(seconds)
    return seconds


def inverse(number):
    return 1 / number


def main():
    with ProcessPoolExecutor() as executor:
        for number, prime in zip(PRIMES, executor.map(is_prime, PRIMES), strict=True):
            print(f"{number} is prime: {prime}")
    with ProcessPoolExecutor(max_workers=2) as executor:
        print(list(executor.map(late, range(5))))
        print(list(executor.map(pow, range(10), [2] * 10, chunksize=3)))
        print(sum(executor.map(abs, range(-1000, 0), chunksize=100)), list(executor.map(abs, [])))
        results = executor.map(inverse, [1, 2, 0, 4])
        print(next(results), next(results))
        try:
            next(results)
        except ZeroDivisionError as e:
            print("ZeroDivisionError:", e)
        print(list(results))
        try:
            list(executor.map(sleeps, [0, 0.5], timeout=0.2))
        except TimeoutError as e:
            print(type(e).__name__)
        try:
            executor.map(abs, [1], chunksize=0)
        except ValueError as e:
            print("ValueError:", e)
    try:
        executor.submit(abs, 1)
    except RuntimeError as e:
        print("RuntimeError:", e)
    for workers in (0, -1):
        try:
            ProcessPoolExecutor(workers)
        except ValueError as e:
            print("ValueError:", e)


if __name__ == "__main__":
    main()
