"""CPU 密集: 把区间分块, 交给每个进程."""

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import Pool


def primes(begin, end):
    return [n for n in range(max(begin, 2), end) if all(n % d for d in range(2, int(n**0.5) + 1))]


def count(bounds):
    return len(primes(*bounds))


if __name__ == "__main__":
    top, step = 30_000, 2_500
    chunks = [(begin, begin + step) for begin in range(0, top, step)]
    serial = sum(map(count, chunks))
    with Pool(os.cpu_count()) as pool:
        print("素数个数:", sum(pool.map(count, chunks)), serial)
    with ProcessPoolExecutor() as executor:
        futures = {executor.submit(primes, *chunk): chunk for chunk in chunks}
        found = {futures[f]: f.result() for f in as_completed(futures)}
        print(sum(map(len, found.values())), found[chunks[0]][:5], found[chunks[-1]][-1])
        print(sum(executor.map(count, chunks, chunksize=3)))
