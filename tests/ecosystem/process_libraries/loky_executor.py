"""loky: the reusable executor, closures, resizing, a worker that dies, an initializer."""

import os
import time

import loky
from loky import ProcessPoolExecutor, get_reusable_executor, wrap_non_picklable_objects
from loky.backend.context import get_context
from loky.process_executor import TerminatedWorkerError

state = None


def init(value):
    global state
    state = value


def read():
    return state


def inverse(number):
    return 1 / number


def main():
    executor = get_reusable_executor(max_workers=2)
    offset = 5
    print(list(executor.map(lambda n: n + offset, range(10))))
    print(executor is get_reusable_executor(max_workers=2), executor.submit(os.getpid).result(60) != os.getpid())
    future = executor.submit(inverse, 0)
    print(type(future.exception(60)).__name__, executor.submit(wrap_non_picklable_objects(lambda: offset)).result(60))
    larger = get_reusable_executor(max_workers=3)
    print(larger is executor, sum(larger.map(abs, range(-100, 0), chunksize=7)))
    try:
        larger.submit(os._exit, 1).result(60)
    except TerminatedWorkerError as e:
        print(type(e).__name__)
    print(get_reusable_executor(max_workers=2).submit(pow, 2, 5).result(60))
    get_reusable_executor(kill_workers=True).shutdown(wait=True)
    with ProcessPoolExecutor(2, initializer=init, initargs=("set",), context=get_context("loky")) as own:
        print({own.submit(read).result(60) for _ in range(4)})
        naps = [own.submit(time.sleep, seconds) for seconds in (0, 0.5)]
        done, pending = loky.wait(naps, return_when="FIRST_COMPLETED")
        print(len(done), len(pending))
    print(loky.cpu_count() >= 1)


if __name__ == "__main__":
    main()
