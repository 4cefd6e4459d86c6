"""Threads in every process, a process for every thread, a fork while threads run."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from queue import Queue


def add(number, total, lock):
    with lock:
        total.append(number)


def many_threads(answers, base):
    total, lock = [], threading.Lock()
    threads = [threading.Thread(target=add, args=(base + i, total, lock)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with ThreadPoolExecutor(3) as pool:
        answers.put(sum(pool.map(abs, total)))


def in_pool(number):
    with ThreadPoolExecutor(2) as threads:
        return sum(threads.map(lambda x: x + number, range(10))), threading.active_count()


def drive(inbox, outbox, context):
    for number in iter(inbox.get, None):
        receive, send = context.Pipe(False)
        p = context.Process(target=send.send, args=(number + 1,))
        p.start()
        outbox.put(receive.recv())
        p.join()


if __name__ == "__main__":
    answers = multiprocessing.Queue()
    processes = [multiprocessing.Process(target=many_threads, args=(answers, 100 * i)) for i in range(3)]
    for p in processes:
        p.start()
    print(sorted(answers.get(timeout=30) for _ in processes))
    for p in processes:
        p.join()
    inbox, outbox, context = Queue(), Queue(), multiprocessing.get_context("fork")
    drivers = [threading.Thread(target=drive, args=(inbox, outbox, context)) for _ in range(3)]
    for d in drivers:
        d.start()
    for number in range(12):
        inbox.put(number)
    for _ in drivers:
        inbox.put(None)
    for d in drivers:
        d.join()
    print(sorted(outbox.get() for _ in range(12)))
    with ProcessPoolExecutor(2) as pool:
        print(list(pool.map(in_pool, range(3))))
