"""What locks and queues refuse, and in which words: to be pickled or copied, to be released twice, wrong arguments.
What they allow: weak references, subclasses, attributes, `with`.
"""

from __future__ import annotations

import concurrent.futures
import copy
import dataclasses
import pickle
import queue
import re
import threading
import weakref
from collections.abc import Callable

from engine import checked

MAKERS: dict[str, Callable[[], object]] = {
    "Condition": threading.Condition,
    "Condition(Lock)": lambda: threading.Condition(threading.Lock()),
    "Semaphore": threading.Semaphore,
    "BoundedSemaphore": threading.BoundedSemaphore,
    "Event": threading.Event,
    "Barrier": lambda: threading.Barrier(2),
    "Lock": threading.Lock,
    "RLock": threading.RLock,
    "local": threading.local,
    "Queue": queue.Queue,
    "LifoQueue": queue.LifoQueue,
    "PriorityQueue": queue.PriorityQueue,
    "SimpleQueue": queue.SimpleQueue,
    "Future": concurrent.futures.Future,
    "ThreadPoolExecutor": lambda: concurrent.futures.ThreadPoolExecutor(1),
    "Thread": threading.Thread,
}


def words(error: BaseException) -> str:
    """The error with what differs from one lock to another left out: they are the interpreter's or ours."""
    text = re.sub(r"'[\w.]*\b(R?Lock|lock)'", "'lock'", str(error))
    return f"{type(error).__name__}: {text}"


def attempt(name: str, call: Callable[..., object], *args: object, **named: object) -> None:
    try:
        print(f"{name}: {call(*args, **named)!r}")
    except Exception as e:
        print(f"{name}: {words(e)}")


def copies() -> None:
    for name, make in MAKERS.items():
        made = make()
        for how in (pickle.dumps, copy.deepcopy):
            try:
                how(made)
                print(name, how.__name__, "works")
            except Exception as e:
                print(name, how.__name__, words(e))


@dataclasses.dataclass
class Account:
    balance: int = 0
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, repr=False, compare=False)


def in_classes() -> None:
    account = Account(5)
    print(account, account == Account(5), dataclasses.replace(account, balance=6))
    attempt("asdict", dataclasses.asdict, account)
    attempt("pickle of an object with a lock", pickle.dumps, account)
    attempt("deepcopy of a dict with a queue", copy.deepcopy, {"q": queue.Queue()})
    attempt("deepcopy of a dict with an event", copy.deepcopy, {"e": threading.Event()})


def references() -> None:
    for name, make in MAKERS.items():
        made = make()
        died: list[str] = []
        reference = weakref.ref(made, lambda _, died=died: died.append("died"))
        alive = reference() is made
        del made
        print(name, alive, reference(), died)
    names = weakref.WeakKeyDictionary({(event := threading.Event()): "first"})
    print(len(names), event in names, len(weakref.WeakSet([threading.Semaphore()])))


def wrong_uses() -> None:
    attempt("release of a free lock", threading.Lock().release)
    attempt("release of a free rlock", threading.RLock().release)
    condition = threading.Condition()
    attempt("wait without the lock", condition.wait)
    attempt("notify without the lock", condition.notify)
    attempt("notify_all without the lock", condition.notify_all)
    attempt("release too often", threading.BoundedSemaphore(1).release)
    attempt("semaphore of -1", threading.Semaphore, -1)
    attempt("release(0)", threading.Semaphore().release, 0)
    attempt("acquire that need not wait, in time", threading.Semaphore().acquire, False, 1)
    attempt("lock that need not wait, in time", threading.Lock().acquire, False, 1)
    attempt("a time below zero", threading.Lock().acquire, timeout=-2)
    attempt("a time beyond all", threading.Lock().acquire, timeout=1e20)
    attempt("barrier of none", threading.Barrier, 0)
    broken = threading.Barrier(2)
    broken.abort()
    attempt("a broken barrier", broken.wait)
    attempt("put, a time below zero", queue.Queue().put, 1, timeout=-1)
    attempt("get, a time below zero", queue.Queue().get, timeout=-1)
    attempt("get_nowait", queue.Queue().get_nowait)
    attempt("simple get_nowait", queue.SimpleQueue().get_nowait)
    attempt("task_done too often", queue.Queue().task_done)
    attempt("no workers", concurrent.futures.ThreadPoolExecutor, 0)
    attempt("no initializer", concurrent.futures.ThreadPoolExecutor, initializer=5)
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    attempt("submit after the shutdown", pool.submit, print)
    attempt("unorderable", lambda: [q := queue.PriorityQueue(), q.put(1), q.put("x")])
    thread = threading.Thread()
    attempt("join before start", thread.join)
    thread.start()
    attempt("start again", thread.start)
    attempt("join of oneself", threading.current_thread().join)
    full: queue.Queue[int] = queue.Queue(1)
    full.put(1)
    attempt("put_nowait", full.put_nowait, 2)
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    future.set_result(1)
    attempt("a second result", future.set_result, 2)
    attempt("result in no time", concurrent.futures.Future().result, 0)


class Named(queue.Queue):
    """A subclass with an attribute, as people write them."""

    def __init__(self, name: str, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self.name = name


def allowed() -> None:
    named = Named("n", 3)
    named.put(1)
    print(
        named.name, named.maxsize, named.qsize(), isinstance(named, queue.Queue), type(named).__mro__[1] is queue.Queue
    )
    event = threading.Event()
    event.note = "kept"  # type: ignore[attr-defined]
    print(event.note, event.is_set(), bool(event))  # type: ignore[attr-defined]
    with threading.Lock() as first, threading.RLock() as second, threading.Semaphore() as third:
        print(first, second, third)
    with threading.Condition() as fourth, concurrent.futures.ThreadPoolExecutor(1) as pool:
        print(bool(fourth), pool.submit(pow, 2, 5).result())
    print(threading.Lock() == threading.Lock(), len({threading.Event(), threading.Event()}))
    print([isinstance(threading.Lock(), type(threading.Lock())), isinstance(queue.Empty(), Exception)])


@checked
def main() -> None:
    for part in (copies, in_classes, references, wrong_uses, allowed):
        part()


if __name__ == "__main__":
    main()
