"""How a program with threads ends: daemons that wait in every call, workers that are waited for, hooks at exit, threads
that fail, threads that start others late, and what `threading` then says of all of them.
"""

from __future__ import annotations

import _thread
import atexit
import queue
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from engine import checked

SECONDS = 30


def listed() -> None:
    stop, started = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        started.release()
        stop.wait()

    threads = [threading.Thread(target=work, name=f"worker {n}", daemon=n == 0) for n in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        started.acquire()
    print(sorted(thread.name for thread in threading.enumerate()), threading.active_count())
    print([thread.daemon for thread in threads], [thread.is_alive() for thread in threads])
    print(len({thread.ident for thread in threads}), all(thread.native_id for thread in threads))
    threads[0].join(0.01)
    print(threads[0].is_alive(), threading.main_thread() is threading.current_thread())
    stop.set()
    for thread in threads:
        thread.join()
    print(threading.active_count(), repr(threads[1]).partition(",")[0])


def failed() -> None:
    caught: queue.Queue[tuple[str, str]] = queue.Queue()
    kept = threading.excepthook
    threading.excepthook = lambda args: caught.put((args.thread.name, repr(args.exc_value)))
    for name, target in (("divides", lambda: 1 / 0), ("leaves", sys.exit), ("asserts", lambda: {}["key"])):
        thread = threading.Thread(target=target, name=name)
        thread.start()
        thread.join()
    threading.excepthook = kept
    print([caught.get() for _ in range(caught.qsize())])


def foreign() -> None:
    """A thread that `threading` has not started."""
    found: queue.SimpleQueue[str] = queue.SimpleQueue()
    lock = _thread.allocate_lock()
    lock.acquire()

    def work() -> None:
        found.put(threading.current_thread().name.partition("-")[0])
        with threading.RLock(), threading.Semaphore():
            lock.release()

    _thread.start_new_thread(work, ())
    print(found.get(), lock.acquire(timeout=SECONDS))


def waiting_for_ever() -> None:
    """Daemon threads, one in each call that blocks; the program ends all the same."""
    held, condition, full = threading.Lock(), threading.Condition(), queue.Queue(1)
    held.acquire()
    full.put(1)
    entered = threading.Semaphore(0)

    def in_condition() -> None:
        with condition:
            condition.wait()

    waits = [
        held.acquire,
        in_condition,
        threading.Event().wait,
        threading.Semaphore(0).acquire,
        threading.Barrier(2).wait,
        queue.Queue().get,
        queue.SimpleQueue().get,
        queue.PriorityQueue().get,
        full.join,
        lambda: full.put(2),
        lambda: time.sleep(SECONDS * 100),
        lambda: threading.Event().wait(SECONDS * 100),
        threading.main_thread().join,
    ]
    for wait in waits:
        threading.Thread(target=lambda wait=wait: (entered.release(), wait()), daemon=True).start()
    for _ in waits:
        entered.acquire()
    time.sleep(0.05)
    print("daemons:", threading.active_count() - 1)


def late(go_on: threading.Event) -> None:
    """Not a daemon: the interpreter waits for it, and for what it starts."""
    time.sleep(0.1)
    print("a late thread")
    threading.Thread(target=lambda: time.sleep(0.02) or print("and the one that it started") or go_on.set()).start()


@checked
def main() -> None:
    atexit.register(print, "at exit, after the threads")
    for part in (listed, failed, foreign, waiting_for_ever):
        part()
    pool, go_on = ThreadPoolExecutor(2), threading.Event()
    pool.submit(lambda: go_on.wait() and print("a job that nobody waits for, but the exit"))
    threading.Thread(target=late, args=(go_on,)).start()
    print("the end of main", flush=True)


if __name__ == "__main__":
    main()
