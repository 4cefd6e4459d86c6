"""Pools in processes: in one that is no daemon, in an executor's worker, and in a pool whose workers are no daemons."""

import multiprocessing
import multiprocessing.pool
from concurrent.futures import ProcessPoolExecutor


def square(x):
    return x * x


def inner(n):
    with multiprocessing.Pool(2) as pool:
        return sum(pool.map(square, range(n)))


def inner_executor(n):
    with ProcessPoolExecutor(2) as executor:
        return sum(executor.map(square, range(n)))


def outer(answers):
    answers.put(inner(10))


def refused():
    try:
        inner(3)
    except AssertionError as e:
        return str(e)


class NoDaemonProcess(multiprocessing.Process):
    @property
    def daemon(self):
        return False

    @daemon.setter
    def daemon(self, value):
        pass


class NoDaemonContext(type(multiprocessing.get_context("fork"))):
    Process = NoDaemonProcess


class NestablePool(multiprocessing.pool.Pool):
    def __init__(self, *args, **kwargs):
        kwargs["context"] = NoDaemonContext()
        super().__init__(*args, **kwargs)


if __name__ == "__main__":
    answers = multiprocessing.Queue()
    p = multiprocessing.Process(target=outer, args=(answers,))
    p.start()
    print(answers.get(timeout=30))
    p.join()
    with ProcessPoolExecutor(2) as executor:
        print(list(executor.map(inner_executor, [3, 4, 5])), executor.submit(inner, 6).result())
    with multiprocessing.Pool(1) as pool:
        print(pool.apply(refused))
    pool = NestablePool(2)
    print(pool.map(inner, [2, 3, 4]))
    pool.close()
    pool.join()
