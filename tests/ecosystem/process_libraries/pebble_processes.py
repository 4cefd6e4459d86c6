"""pebble: a pool whose tasks have limits in time and can be cancelled, and functions that are processes."""

import os
import time
from concurrent.futures import CancelledError, TimeoutError

from pebble import ProcessExpired, ProcessPool, concurrent


def square(number):
    if number == 4:
        raise ValueError("four")
    return number * number


@concurrent.process
def doubled(number):
    return number * 2


@concurrent.process
def dies():
    os._exit(3)


@concurrent.process(timeout=0.2)
def endless():
    while True:
        time.sleep(0.01)


def main():
    with ProcessPool(max_workers=2, max_tasks=5) as pool:
        results = []
        iterator = pool.map(square, range(8), timeout=30).result()
        while True:
            try:
                results.append(next(iterator))
            except StopIteration:
                break
            except ValueError as e:
                results.append(str(e))
        print(results)
        late = pool.schedule(time.sleep, args=[30], timeout=0.2)
        try:
            late.result()
        except TimeoutError as e:
            print("TimeoutError", "Task timeout" in str(e))
        running = pool.schedule(time.sleep, args=[30])
        while not running.running():
            time.sleep(0.01)
        print(running.cancel(), running.cancelled())
        try:
            running.result()
        except CancelledError:
            print("CancelledError")
        seen = []
        after = pool.schedule(square, kwargs={"number": 5})
        after.add_done_callback(lambda future: seen.append(future.result()))
        print(after.result(30), [pool.submit(square, 30, n).result(30) for n in (1, 2)])
        chunks = pool.map(square, range(10, 20), chunksize=3).result()
        print(sum(chunks), seen)
    print(doubled(21).result(30), [f.result(30) for f in [doubled(n) for n in range(3)]])
    try:
        dies().result()
    except ProcessExpired as e:
        print("ProcessExpired", e.exitcode)
    try:
        endless().result()
    except TimeoutError:
        print("ended")


if __name__ == "__main__":
    main()
