"""as_completed, wait, call-backs, cancelling what has not begun, an initializer that fails."""

import concurrent.futures as cf
import multiprocessing
import os
import time

opened = None


class JobError(Exception):
    def __init__(self, job, reason):
        super().__init__(job, reason)
        self.job = job
        self.reason = reason


def job(number):
    if number % 4 == 3:
        raise JobError(number, "every fourth fails")
    return number * 10


def nap(seconds):
    time.sleep(seconds)
    return os.getpid()


def open_it(name):
    global opened
    opened = name


def use(_):
    return opened


def bad():
    raise OSError("no")


if __name__ == "__main__":
    seen = []
    with cf.ProcessPoolExecutor(2, initializer=open_it, initargs=("file",)) as executor:
        futures = {executor.submit(job, n): n for n in range(12)}
        for future in futures:
            future.add_done_callback(lambda f: seen.append(f.done()))
        outcome = {}
        for future in cf.as_completed(futures, timeout=30):
            try:
                outcome[futures[future]] = future.result()
            except JobError as e:
                outcome[futures[future]] = (type(e).__name__, e.job, e.reason)
        print(sorted(outcome.items()))
        print(seen, set(executor.map(use, range(4))))
        first = [executor.submit(nap, seconds) for seconds in (0, 0.6)]
        done, pending = cf.wait(first, return_when=cf.FIRST_COMPLETED)
        print(first[0] in done, first[1] in pending, first[1].done())
        failing = [executor.submit(job, 3), executor.submit(nap, 0.3)]
        done, _ = cf.wait(failing, return_when=cf.FIRST_EXCEPTION)
        print(failing[0] in done, type(failing[0].exception()).__name__)
        many = [executor.submit(nap, 0.01) for _ in range(40)]
        print(many[-1].cancel(), many[-1].cancelled())
        try:
            many[-1].result()
        except cf.CancelledError:
            print("CancelledError")
        print(len({f.result() for f in many[:-1]}) <= 2)
    executor = cf.ProcessPoolExecutor(1)
    waiting = [executor.submit(nap, 0.05) for _ in range(30)]
    executor.shutdown(wait=True, cancel_futures=True)
    print(any(f.cancelled() for f in waiting), all(f.done() for f in waiting))
    try:
        executor.submit(nap, 0)
    except RuntimeError as e:
        print("RuntimeError:", e)
    quiet = multiprocessing.get_context("fork")
    with cf.ProcessPoolExecutor(1, mp_context=quiet, initializer=os._exit, initargs=(1,)) as executor:
        try:
            executor.submit(abs, 1).result(30)
        except cf.BrokenExecutor as e:
            print("the initializer ended it", isinstance(e, cf.process.BrokenProcessPool))
