"""An initializer that leaves globals in each worker: a shared counter, a lock, a table too big to send often."""

import multiprocessing
import os

counter = None
lock = None
table = {}


def init(shared, its_lock, size):
    global counter, lock
    counter, lock = shared, its_lock
    table.update((i, i * i) for i in range(size))
    with counter.get_lock():
        counter.value += 1000


def look_up(key):
    with lock:
        counter.value += 1
    return table[key], os.getpid()


if __name__ == "__main__":
    shared = multiprocessing.Value("i", 0)
    with multiprocessing.Pool(2, initializer=init, initargs=(shared, multiprocessing.Lock(), 500)) as pool:
        answers = pool.map(look_up, range(100), chunksize=5)
        pool.close()
        pool.join()
    print(sum(value for value, _ in answers))
    print(shared.value, len({pid for _, pid in answers}) <= 2, os.getpid() not in {pid for _, pid in answers})
    print(table, counter, lock)
