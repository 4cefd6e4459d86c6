"""A manager's queue, lock, event, value, array, semaphore and barrier as arguments of a pool's tasks."""

import queue
from multiprocessing import Manager, Pool


def report(number, messages, lock, total, cells):
    with lock:
        total.value += number
        cells[number % 4] += 1
    messages.put((number, "ok"))


def meet(barrier, gate, limit):
    with limit:
        place = barrier.wait(20)
    gate.wait(20)
    return place


def main():
    with Manager() as manager, Pool(3) as pool:
        messages, lock = manager.Queue(), manager.Lock()
        total, cells = manager.Value("i", 0), manager.Array("i", [0] * 4)
        pool.starmap(report, [(n, messages, lock, total, cells) for n in range(20)])
        print(messages.qsize(), sorted(messages.get() for _ in range(20))[0], messages.empty())
        print(total.value, list(cells), total.get())
        try:
            messages.get_nowait()
        except queue.Empty:
            print("empty")
        barrier, gate, limit = manager.Barrier(3), manager.Event(), manager.Semaphore(3)
        waiting = [pool.apply_async(meet, (barrier, gate, limit)) for _ in range(3)]
        print(gate.is_set())
        gate.set()
        print(sorted(w.get(20) for w in waiting))
        jobs = manager.JoinableQueue(5)
        jobs.put("job")
        print(jobs.get(), jobs.task_done(), jobs.join())
        condition, inner = manager.Condition(), manager.RLock()
        with condition:
            print(condition.wait(0.01), condition.notify_all())
        with inner, inner:
            print("twice")
        print(lock.acquire(), lock.acquire(False), lock.release())
        made = manager.Pool(2)
        print(made.map(abs, [-1, -2]), made.apply(pow, (2, 5)))
        made.terminate()


if __name__ == "__main__":
    main()
