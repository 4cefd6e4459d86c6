"""Workers that take numbers from one queue and put what they made into another; None ends a worker."""

from multiprocessing import Process, Queue


def worker(tasks, results):
    while True:
        number = tasks.get()
        if number is None:
            break
        results.put((number, number * number))


if __name__ == "__main__":
    tasks, results = Queue(), Queue()
    workers = [Process(target=worker, args=(tasks, results), name=f"worker-{i}") for i in range(3)]
    for w in workers:
        w.start()
    for number in range(200):
        tasks.put(number)
    for _ in workers:
        tasks.put(None)
    found = dict(results.get() for _ in range(200))
    for w in workers:
        w.join()
    print(sum(found.values()), len(found), found[17])
    print([(w.name, w.exitcode, w.is_alive()) for w in workers])
    print(tasks.empty(), results.empty())
