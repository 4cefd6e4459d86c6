"""同一时刻最多两个进程: Semaphore 和 BoundedSemaphore."""

import time
from multiprocessing import BoundedSemaphore, Process, Semaphore, Value


def visit(semaphore, inside, most):
    with semaphore:
        with inside.get_lock():
            inside.value += 1
            most.value = max(most.value, inside.value)
        time.sleep(0.05)
        with inside.get_lock():
            inside.value -= 1


if __name__ == "__main__":
    semaphore, inside, most = Semaphore(2), Value("i", 0), Value("i", 0)
    visitors = [Process(target=visit, args=(semaphore, inside, most)) for _ in range(6)]
    for v in visitors:
        v.start()
    for v in visitors:
        v.join()
    print(inside.value, most.value <= 2, semaphore.get_value())
    bounded = BoundedSemaphore(1)
    bounded.acquire()
    print(bounded.acquire(timeout=0.01), bounded.get_value())
    bounded.release()
    try:
        bounded.release()
    except ValueError as e:
        print("ValueError:", e)
    semaphore.release()
    print(semaphore.get_value())
