"""Pools that threads make, use and leave; one pool that many threads use."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


def double(x):
    return x * 2


def with_pool(name, results):
    with multiprocessing.Pool(2) as pool:
        results[name] = sum(pool.map(double, range(100)))


def make_executor(box):
    box.append(ProcessPoolExecutor(2))
    box.append(box[0].submit(double, 21))


def one_process(number):
    answers = multiprocessing.Queue()
    p = multiprocessing.Process(target=answers.put, args=(number,))
    p.start()
    answer = answers.get(timeout=30)
    p.join()
    return answer


if __name__ == "__main__":
    results = {}
    threads = [threading.Thread(target=with_pool, args=(name, results)) for name in ("a", "b", "c")]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(sorted(results.items()))
    box = []
    maker = threading.Thread(target=make_executor, args=(box,))
    maker.start()
    maker.join()
    executor, first = box
    print(first.result(30), sum(executor.submit(double, n).result(30) for n in range(50)))
    with ThreadPoolExecutor(8) as asking:
        print(sum(asking.map(lambda n: executor.submit(double, n).result(30), range(100))))
        print(sorted(asking.map(one_process, range(6))))
    executor.shutdown()
    with multiprocessing.Pool(2) as pool, ThreadPoolExecutor(4) as asking:
        print(sum(asking.map(lambda n: pool.apply(double, (n,)), range(100))))
