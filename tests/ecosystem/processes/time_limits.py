"""Limits in time: join, a job that takes too long is ended, a result that is not there yet."""

import multiprocessing
import queue
import time


def endless():
    while True:
        time.sleep(0.01)


def timed(answers, function, *arguments):
    answers.put(function(*arguments))


def limited(seconds, function, *arguments):
    answers = multiprocessing.Queue()
    p = multiprocessing.Process(target=timed, args=(answers, function, *arguments))
    p.start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        p.terminate()
        return "took too long"
    finally:
        p.join()
        print(p.exitcode)


if __name__ == "__main__":
    print(limited(30, pow, 2, 10))
    print(limited(0.1, endless))
    p = multiprocessing.Process(target=endless)
    p.start()
    p.join(0.05)
    print(p.is_alive(), p.exitcode)
    p.join(0)
    p.kill()
    p.join(10)
    print(p.is_alive(), p.exitcode)
    with multiprocessing.Pool(1) as pool:
        stuck = pool.apply_async(endless)
        try:
            stuck.get(0.1)
        except multiprocessing.TimeoutError:
            print("the pool goes with its endless job")
    print(multiprocessing.active_children())
