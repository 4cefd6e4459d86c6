"""numpy in a pool: rows of a product, a reduction over chunks, arrays changed by the worker alone."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Array, Pool, Process

import numpy as np

big = None


def row(pair):
    a, b = pair
    return a @ b


def total(chunk):
    return chunk.sum(), chunk.dtype.str, chunk.flags["C_CONTIGUOUS"]


def change(array):
    array *= 2
    return array


def part(bounds):
    return float(big[slice(*bounds)].sum())


def in_place(shared, first):
    view = np.frombuffer(shared.get_obj())
    with shared.get_lock():
        view[first::2] += first + 1


if __name__ == "__main__":
    big = np.arange(200_000, dtype=np.float64)
    a, b = np.arange(12.0).reshape(3, 4), np.ones((4, 2))
    with Pool(2) as pool, ProcessPoolExecutor(2) as executor:
        print(np.array_equal(np.array(pool.map(row, [(r, b) for r in a])), a @ b))
        print(sum(s for s, _, _ in executor.map(total, np.array_split(big, 4))) == big.sum())
        print([f for _, *f in executor.map(total, [a.T, a[:, ::2], a.astype("i2"), np.zeros(0)])])
        changed = executor.submit(change, a).result()
        changed += 1
        print(a[0].tolist(), changed[0].tolist(), changed.flags.writeable, changed.shape)
        print(sum(pool.map(part, [(i, i + 50_000) for i in range(0, 200_000, 50_000)])) == big.sum())
        structured = np.array([(1, "ab"), (2, "cd")], dtype=[("n", "i4"), ("s", "U2")])
        print(
            executor.submit(change, np.array([1, 2])).result().tolist(), pool.apply(np.sort, (structured[::-1],))["s"]
        )
    shared = Array("d", 10)
    workers = [Process(target=in_place, args=(shared, first)) for first in (0, 1)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    print(list(shared))
