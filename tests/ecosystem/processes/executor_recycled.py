"""Workers that are replaced after some tasks: max_tasks_per_child and maxtasksperchild."""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor


def pid(_):
    return os.getpid()


def main():
    with multiprocessing.Pool(2, maxtasksperchild=3) as pool:
        pids = pool.map(pid, range(12), chunksize=1)
        print(len(pids), len(set(pids)) >= 4, max(pids.count(p) for p in pids) <= 3)
    if sys.version_info >= (3, 11):
        with ProcessPoolExecutor(1, max_tasks_per_child=2, mp_context=multiprocessing.get_context("spawn")) as executor:
            pids = [executor.submit(pid, n).result(60) for n in range(4)]
            print(len(set(pids)) == 2, pids[0] == pids[1], pids[2] == pids[3])
        try:
            ProcessPoolExecutor(1, max_tasks_per_child=2, mp_context=multiprocessing.get_context("fork"))
        except ValueError as e:
            print("ValueError:", e)
        try:
            ProcessPoolExecutor(1, max_tasks_per_child=0)
        except ValueError as e:
            print("ValueError:", e)


if __name__ == "__main__":
    main()
