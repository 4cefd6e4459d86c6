"""apply_async and map_async with call-backs, results that are not ready yet, and errors."""

import time
from multiprocessing import Pool, TimeoutError

done, failed = [], []


def divide(a, b):
    return a / b


def slow(seconds):
    time.sleep(seconds)
    return seconds


if __name__ == "__main__":
    pool = Pool(2)
    results = [pool.apply_async(divide, (i, 2), callback=done.append) for i in range(6)]
    bad = pool.apply_async(divide, (1, 0), callback=done.append, error_callback=failed.append)
    print([r.get() for r in results])
    try:
        bad.get(10)
    except ZeroDivisionError as e:
        print("error:", e)
    print(bad.ready(), bad.successful(), results[0].successful())
    late = pool.apply_async(slow, (0.4,))
    try:
        late.get(timeout=0.05)
    except TimeoutError:
        print("not yet", late.ready())
    try:
        late.successful()
    except ValueError as e:
        print("ValueError", "not ready" in str(e))
    late.wait()
    print(late.get())
    mapped = pool.map_async(abs, [-1, -2, 3], callback=lambda values: done.append(sum(values)))
    print(mapped.get())
    star = pool.starmap_async(divide, [(1, 1), (1, 0)], error_callback=failed.append)
    star.wait(10)
    print(star.ready(), star.successful())
    pool.close()
    try:
        pool.apply_async(slow, (0,))
    except ValueError as e:
        print(e)
    pool.join()
    print(sorted(done), [repr(e) for e in failed])
