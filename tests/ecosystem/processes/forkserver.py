"""The fork server's context, with a module that it loads beforehand."""

import multiprocessing as mp
import sys


def work(number, results):
    results.put((number * 10, "decimal" in sys.modules))


def negative(number):
    return -number


if __name__ == "__main__":
    mp.set_start_method("forkserver")
    mp.set_forkserver_preload(["decimal"])
    results = mp.Queue()
    workers = [mp.Process(target=work, args=(i, results)) for i in range(3)]
    for w in workers:
        w.start()
    print(sorted(results.get(timeout=30) for _ in workers))
    for w in workers:
        w.join()
    with mp.Pool(2) as pool:
        print(pool.map(negative, range(4)), mp.get_start_method())
