"""Every map of a pool."""

import multiprocessing
import operator
from functools import partial


def square(x):
    return x * x


def power(base, exponent):
    return base**exponent


def main():
    with multiprocessing.Pool(processes=3) as pool:
        print(pool.map(square, range(10)))
        print(pool.map(square, range(100), chunksize=7)[-3:])
        print(pool.map(square, []))
        print(pool.starmap(power, [(2, 3), (3, 2), (10, 4)]))
        print(pool.starmap(operator.add, enumerate(range(5, 10)), 2))
        print(list(pool.imap(partial(power, exponent=3), range(6))))
        print(sorted(pool.imap_unordered(square, range(20), chunksize=4)))
        it = pool.imap(square, (x for x in range(3)))
        print(next(it), it.next(), it.next(timeout=10))
        try:
            it.next()
        except StopIteration:
            print("no more")
        print(pool.apply(power, (2,), {"exponent": 10}))
        print(pool.map(str.upper, ["a", "b"]), pool.map(len, ["", "x", "xy"]))


if __name__ == "__main__":
    main()
