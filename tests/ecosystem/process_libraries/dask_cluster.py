"""Dask's local cluster of processes, and its scheduler over multiprocessing."""

import operator
import os

import dask
import dask.bag
from dask.distributed import Client, LocalCluster, as_completed, wait


def square(number):
    return number * number


def fail(number):
    raise LookupError(number)


@dask.delayed
def add(a, b):
    return a + b


def main():
    bag = dask.bag.from_sequence(range(100), npartitions=4)
    print(bag.map(square).filter(lambda n: n % 2).sum().compute(scheduler="processes", num_workers=2))
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(**options, silence_logs=50) as cluster, Client(cluster) as client:
        futures = client.map(square, range(50))
        print(sum(client.gather(futures)), client.submit(sum, futures).result(timeout=60))
        print(sorted(f.result() for f in as_completed(client.map(square, range(5)))))
        total = add(add(1, 2), add(3, 4))
        print(total.compute(), dask.compute(add(1, 1), add(2, 2)))
        failed = client.submit(fail, 7)
        wait(failed)
        print(failed.status, repr(failed.exception()))
        pids = set(client.run(os.getpid).values())
        print(len(pids), os.getpid() in pids, len(client.scheduler_info()["workers"]))
        counter = client.submit(operator.itemgetter, 1).result()
        print(counter([10, 20]))


if __name__ == "__main__":
    main()
