"""Empty and Full, limits in time, sizes, closing, what is put into a closed queue, cancel_join_thread."""

import multiprocessing
import queue
import time


def slow_reader(items, taken):
    time.sleep(0.2)
    taken.put(items.get())


if __name__ == "__main__":
    items, taken = multiprocessing.Queue(maxsize=2), multiprocessing.Queue()
    try:
        items.get_nowait()
    except queue.Empty:
        print("Empty")
    try:
        items.get(timeout=0.05)
    except queue.Empty:
        print("Empty after a while")
    items.put("a")
    items.put("b", timeout=1)
    print(items.full(), items.qsize())
    for put in (lambda: items.put_nowait("c"), lambda: items.put("c", True, 0.05), lambda: items.put("c", False)):
        try:
            put()
        except queue.Full:
            print("Full")
    reader = multiprocessing.Process(target=slow_reader, args=(items, taken))
    reader.start()
    items.put("c")
    print(taken.get(), items.get(), items.get())
    reader.join()
    print(items.empty(), items.qsize())
    items.close()
    for use in (lambda: items.put(1), items.get):
        try:
            use()
        except ValueError as e:
            print("ValueError", "is closed" in str(e))
    items.join_thread()
    full = multiprocessing.Queue()
    full.put("x" * 500_000)
    full.cancel_join_thread()
    simple = multiprocessing.SimpleQueue()
    print(simple.empty())
    p = multiprocessing.Process(target=simple.put, args=([1, 2],))
    p.start()
    print(simple.get(), simple.empty())
    p.join()
    simple.close()
    order = multiprocessing.Queue()
    for i in range(1000):
        order.put(i)
    print([order.get() for _ in range(1000)] == list(range(1000)))
    print("the end")
