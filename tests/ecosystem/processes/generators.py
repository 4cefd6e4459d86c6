"""Lazy input and output: imap takes from a generator, stops early, and an error in the input is seen."""

import itertools
import multiprocessing


def square(x):
    return x * x


def numbers(upto, taken):
    for n in range(upto):
        taken.append(n)
        yield n


def broken():
    yield 1
    raise OSError("the input broke")


if __name__ == "__main__":
    taken = []
    with multiprocessing.Pool(2) as pool:
        print(list(itertools.islice(pool.imap(square, numbers(50, taken)), 5)))
        print(sum(pool.imap(square, numbers(1000, taken), chunksize=50)))
        results = pool.imap(square, broken())
        print(next(results))
        try:
            next(results)
        except OSError as e:
            print("OSError", e)
        try:
            print(set(pool.imap_unordered(square, broken())))
        except OSError as e:
            print("OSError", e)
        try:
            pool.map(square, broken())
        except OSError as e:
            print("OSError", e)
        try:
            pool.imap(square, range(3), chunksize=0)
        except ValueError as e:
            print("ValueError", "hunksize" in str(e))
        print(pool.map(square, iter([1, 2, 3])), pool.map(square, {4: "a", 5: "b"}))
