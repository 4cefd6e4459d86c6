"""cloudpickle by hand: closures and local classes through a standard pool."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool

import cloudpickle


def call(data):
    function, arguments = cloudpickle.loads(data)
    return cloudpickle.dumps(function(*arguments))


def main():
    base = 7

    class Local:
        def __init__(self, number):
            self.number = number + base

        def __eq__(self, other):
            return self.number == other.number

        __hash__ = None

    tasks = [cloudpickle.dumps((lambda n, k=k: n * k + base, (3,))) for k in range(4)]
    with Pool(2) as pool, ProcessPoolExecutor(2) as executor:
        print([cloudpickle.loads(data) for data in pool.map(call, tasks)])
        print([cloudpickle.loads(data) for data in executor.map(call, tasks)])
        made = cloudpickle.loads(executor.submit(call, cloudpickle.dumps((Local, (1,)))).result())
        print(made.number, made == Local(1))


if __name__ == "__main__":
    main()
