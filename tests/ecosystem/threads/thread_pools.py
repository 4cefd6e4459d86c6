"""multiprocessing.pool.ThreadPool and multiprocessing.dummy: what is said of process pools, done by threads."""

from __future__ import annotations

import multiprocessing
import multiprocessing.dummy as dummy
import threading
from multiprocessing.pool import AsyncResult, Pool, ThreadPool

from engine import checked

SECONDS = 30


def square(number: int) -> int:
    return number * number


def fail(number: int) -> int:
    if number == 3:
        raise LookupError(number)
    return number


def mapped() -> None:
    with ThreadPool(4) as pool:
        print(pool.map(square, range(10), chunksize=3), pool.starmap(pow, [(2, 5), (3, 2)]), pool.apply(square, (7,)))
        print(list(pool.imap(square, range(5))), sorted(pool.imap_unordered(square, range(300), chunksize=7))[-1])
        print(pool.map_async(square, range(4)).get(SECONDS), pool.starmap_async(divmod, [(7, 2)]).get(SECONDS))
        print(pool.map(str.upper, iter("abc")), pool.map(square, []), isinstance(pool, Pool))
        lines = pool.imap(square, iter(range(3)))
        print(next(lines), lines.next(timeout=SECONDS), next(lines), next(lines, "no more"))


def told() -> None:
    said: list[object] = []
    done = threading.Semaphore(0)

    def hear(value: object) -> None:
        said.append(repr(value))
        done.release()

    with ThreadPool(2) as pool:
        result: AsyncResult = pool.apply_async(square, (5,), callback=hear, error_callback=hear)
        result.wait(SECONDS)
        print(result.ready(), result.successful(), result.get())
        wrong = pool.apply_async(fail, (3,), callback=hear, error_callback=hear)
        wrong.wait(SECONDS)
        print(wrong.ready(), wrong.successful())
        pool.map_async(fail, range(5), error_callback=hear).wait(SECONDS)
        print([done.acquire(timeout=SECONDS) for _ in range(3)], said)
        for ask in (wrong.get, lambda: pool.map(fail, range(5)), lambda: list(pool.imap(fail, range(5)))):
            try:
                ask()
            except LookupError as e:
                print(repr(e))
        gate = threading.Event()
        slow = pool.apply_async(gate.wait)
        for ask in (lambda: slow.get(0.02), lambda: slow.successful()):
            try:
                ask()
            except (multiprocessing.TimeoutError, ValueError) as e:
                print(type(e).__name__, "is not ready" if "not ready" in str(e) else e)
        gate.set()
        print(slow.get(SECONDS))


def ended() -> None:
    begun = []
    pool = ThreadPool(3, initializer=begun.append, initargs=("begun",))
    jobs = [pool.apply_async(square, (number,)) for number in range(50)]
    pool.close()
    try:
        pool.apply_async(square, (1,))
    except ValueError as e:
        print(e)
    pool.join()
    print(sum(job.get(0) for job in jobs), begun)
    pool = ThreadPool(2)
    gate = threading.Event()
    pool.apply_async(gate.wait)
    pool.map_async(square, range(10_000))
    gate.set()
    pool.terminate()
    pool.join()
    try:
        pool.map(square, [1])
    except ValueError as e:
        print(e)
    print(threading.active_count())


def with_names_of_processes() -> None:
    """Threads under the names of multiprocessing."""
    values: dummy.Queue = dummy.Queue()
    lock, event, shared = dummy.Lock(), dummy.Event(), dummy.Value("i", 0)
    numbers = dummy.Array("i", [0, 0])

    def work(number: int) -> None:
        event.wait()
        for _ in range(100):
            with lock:
                shared.value += number
        values.put((number, dummy.current_process().name != "MainThread"))

    processes = [dummy.Process(target=work, args=(number,), name=f"p{number}") for number in range(4)]
    for process in processes:
        process.start()
    print(len(dummy.active_children()) >= 4, [process.exitcode for process in processes][:1])
    event.set()
    for process in processes:
        process.join(SECONDS)
    print(sorted(values.get() for _ in range(4)), shared.value, list(numbers))
    print([process.exitcode for process in processes], processes[0].name)
    with dummy.Pool(3) as pool:
        print(pool.map(square, range(5)))
    left, right = dummy.Pipe()
    left.send({"a": 1})
    print(right.poll(SECONDS), right.recv())
    jobs: dummy.JoinableQueue = dummy.JoinableQueue()
    jobs.put(1)
    threading.Timer(0.01, lambda: (jobs.get(), jobs.task_done())).start()
    jobs.join()
    manager = dummy.Manager()
    print(type(manager.dict()).__name__, manager.list([1]), dummy.Namespace(a=1, _b=2))


@checked
def main() -> None:
    for part in (mapped, told, ended, with_names_of_processes):
        part()


if __name__ == "__main__":
    main()
