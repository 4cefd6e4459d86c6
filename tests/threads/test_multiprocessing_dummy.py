"""`multiprocessing.pool.ThreadPool` and `multiprocessing.dummy.Pool`: the contract of `multiprocessing.Pool`."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import multiprocessing.dummy
import multiprocessing.pool
import os
import pickle
import sys
import threading
import time
import warnings
import weakref

import pytest

from threads.futures_twins import LIMIT, needs_native

pytestmark = needs_native


@pytest.fixture(params=["standard", "ours"])
def ThreadPool(request):
    """The class, the standard library's or ours."""
    if request.param == "standard":
        return multiprocessing.pool.ThreadPool
    from fenshen._thread_pool import ThreadPool

    return ThreadPool


@pytest.fixture
def pool(ThreadPool):
    """A pool of three."""
    with ThreadPool(3) as pool:
        yield pool
    pool.join()


def add(a, b=0, *, c=0):
    return a + b + c


def test_one_call(pool) -> None:
    assert pool.apply(add, (1,), {"b": 2, "c": 3}) == 6
    assert pool.apply(int) == 0
    with pytest.raises(ValueError, match="invalid literal"):
        pool.apply(int, ("x",))


def test_many_calls(pool) -> None:
    assert pool.map(abs, range(-50, 50)) == [abs(i) for i in range(-50, 50)]
    assert pool.map(abs, iter(range(7)), chunksize=3) == list(range(7))
    assert pool.map(abs, []) == []
    assert pool.starmap(add, [(1, 2), (3, 4)]) == [3, 7]
    assert pool.starmap(add, iter([(1, 2)]), 5) == [3]
    with pytest.raises(TypeError):
        pool.map(abs, [1, None, 3])


def test_results_one_by_one(pool) -> None:
    assert list(pool.imap(abs, range(-20, 0))) == list(range(20, 0, -1))
    assert list(pool.imap(abs, range(-20, 0), 3)) == list(range(20, 0, -1))
    assert sorted(pool.imap_unordered(abs, range(20))) == list(range(20))
    assert sorted(pool.imap_unordered(abs, range(20), chunksize=7)) == list(range(20))
    assert list(pool.imap(abs, [])) == []
    results = pool.imap(lambda x: 1 // x, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert results.next(timeout=LIMIT) == 1
    with pytest.raises(StopIteration):
        next(results)
    for bad in (0, -1):
        with pytest.raises(ValueError, match="Chunksize must be 1"):
            pool.imap(abs, [1], bad)


def test_results_of_what_never_ends(pool) -> None:
    taken = itertools.takewhile(lambda x: x < 100, itertools.count())
    assert list(pool.imap(abs, taken)) == list(range(100))
    gate = threading.Semaphore(0)

    def numbers():
        for i in itertools.count():
            gate.acquire()
            if over:
                return
            yield i

    over: list[int] = []
    results = pool.imap(abs, numbers())
    if type(pool) is not multiprocessing.pool.ThreadPool:
        assert pool.apply(int) == 0  # there, it would wait for the numbers to end
    for i in range(10):
        gate.release()
        assert results.next(LIMIT) == i
    with pytest.raises(multiprocessing.TimeoutError):
        results.next(0.01)
    over.append(1)
    gate.release()


def test_an_iterable_that_fails(pool) -> None:
    def numbers():
        yield 1
        raise KeyError("here")

    for call in (pool.map, lambda *args: list(pool.imap(*args)), lambda *args: list(pool.imap_unordered(*args))):
        with pytest.raises(KeyError, match="here"):
            call(abs, numbers())


def test_an_asynchronous_result(pool) -> None:
    gate = threading.Event()
    result = pool.apply_async(gate.wait, (LIMIT,))
    assert isinstance(result, multiprocessing.pool.AsyncResult)
    assert not result.ready()
    with pytest.raises(ValueError, match=r"^<multiprocessing.pool.ApplyResult object at 0x.*> not ready$"):
        result.successful()
    assert result.wait(0.01) is None
    with pytest.raises(multiprocessing.TimeoutError):
        result.get(timeout=0.01)
    assert len(pool._cache) == 1
    gate.set()
    assert result.get(LIMIT) is True
    assert (result.ready(), result.successful()) == (True, True)
    result = pool.apply_async(int, ("x",))
    result.wait(LIMIT)
    assert not result.successful()
    with pytest.raises(ValueError, match="invalid literal"):
        result.get()
    assert pool.map_async(abs, [-1, -2]).get(LIMIT) == [1, 2]
    assert pool.starmap_async(add, [(1, 2)]).get(LIMIT) == [3]
    assert pool.map_async(abs, []).ready()
    assert pool._cache == {}


def test_callbacks(pool) -> None:
    seen: list[object] = []
    errors: list[object] = []
    calls = {"callback": seen.append, "error_callback": errors.append}
    pool.apply_async(add, (1, 2), **calls).get(LIMIT)
    pool.map_async(abs, [-1, -2], **calls).get(LIMIT)
    pool.starmap_async(add, [(1, 1)], **calls).get(LIMIT)
    assert seen == [3, [1, 2], [2]]
    assert errors == []
    pool.apply_async(int, ("x",), **calls).wait(LIMIT)
    pool.map_async(int, ["1", "x"], **calls).wait(LIMIT)
    assert [type(error) for error in errors] == [ValueError, ValueError]
    assert len(seen) == 3


def test_callbacks_come_one_at_a_time_and_not_on_a_worker(pool) -> None:
    threads: set[threading.Thread] = set()
    inside: list[int] = []

    def callback(value):
        threads.add(threading.current_thread())
        inside.append(1)
        time.sleep(0.001)
        assert len(inside) == 1
        inside.pop()

    for result in [pool.apply_async(int, callback=callback) for _ in range(30)]:
        result.get(LIMIT)
    assert len(threads) == 1
    assert not threads & set(pool._pool)
    assert inside == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_fails_loses_nothing() -> None:
    from fenshen._thread_pool import ThreadPool

    failed: list[object] = []
    hook, threading.excepthook = threading.excepthook, lambda args: failed.append(args.exc_value)
    try:
        with ThreadPool(2) as pool:
            assert pool.apply_async(int, ("3",), callback=lambda value: 1 / 0).get(LIMIT) == 3
            assert pool.apply_async(int, ("4",), callback=failed.append).get(LIMIT) == 4
    finally:
        threading.excepthook = hook
    assert isinstance(failed[0], ZeroDivisionError)
    assert failed[1:] == [4]


def test_a_job_that_exits_ends_nothing() -> None:
    from fenshen._thread_pool import ThreadPool

    with ThreadPool(1) as pool:
        with pytest.raises(SystemExit):
            pool.apply(sys.exit, (3,))
        assert pool.apply(int) == 0


# -- A pool's life ----------------------------------------------------------------------------------------------------


def test_a_new_one(ThreadPool) -> None:
    with ThreadPool(2) as pool:
        assert isinstance(pool, multiprocessing.pool.ThreadPool)
        assert isinstance(pool, multiprocessing.pool.Pool)
        assert pool._processes == len(pool._pool) == 2
        assert repr(pool) == f"<{ThreadPool.__module__}.ThreadPool state=RUN pool_size=2>"
        assert all(isinstance(worker, threading.Thread) and worker.daemon for worker in pool._pool)
        assert all(worker.name.endswith("(worker)") for worker in pool._pool)
        with pytest.raises(NotImplementedError, match="pool objects cannot be passed between processes or pickled"):
            pickle.dumps(pool)
        with pytest.raises(ValueError, match="Pool is still running"):
            pool.join()
    with ThreadPool() as pool:
        cpus = os.process_cpu_count() if sys.version_info >= (3, 13) else os.cpu_count()
        assert pool._processes == cpus
    for bad in (0, -1):
        with pytest.raises(ValueError, match="Number of processes must be at least 1"):
            ThreadPool(bad)
    with pytest.raises(TypeError, match="initializer must be a callable"):
        ThreadPool(1, 1)


def test_an_initializer(ThreadPool) -> None:
    seen: list[tuple[int, str]] = []
    with ThreadPool(2, lambda tag: seen.append((tag, threading.current_thread().name)), (1,)) as pool:
        assert pool.map(abs, range(4), 1) == list(range(4))
        names = {worker.name for worker in pool._pool}
        pool.close()
        pool.join()
    assert {tag for tag, _ in seen} == {1}
    assert {name for _, name in seen} == names


def test_an_initializer_that_fails(caplog) -> None:
    from fenshen._thread_pool import ThreadPool

    def fail():
        raise ValueError

    with ThreadPool(1, fail) as pool:
        pool._pool[0].join(LIMIT)
        with pytest.raises(RuntimeError, match="the initializer of a worker of the pool failed"):
            pool.apply_async(int).get(LIMIT)
    assert [record.getMessage() for record in caplog.records] == ["Exception in initializer:"]


def test_closing(ThreadPool) -> None:
    pool = ThreadPool(2)
    called: list[int] = []
    jobs = [pool.apply_async(add, (i,), callback=called.append) for i in range(50)]
    items = pool.imap(abs, iter(range(50)))
    pool.close()
    pool.close()
    for call in (lambda: pool.apply(int), lambda: pool.map(abs, [1]), lambda: pool.imap(abs, [1]), pool.__enter__):
        with pytest.raises(ValueError, match="Pool not running"):
            call()
    assert [job.get(LIMIT) for job in jobs] == list(range(50))
    assert list(items) == list(range(50))
    pool.join()
    assert sorted(called) == list(range(50))
    assert not any(worker.is_alive() for worker in pool._pool)
    pool.terminate()


def test_terminating(ThreadPool) -> None:
    before = set(threading.enumerate())
    pool = ThreadPool(1)
    gate = threading.Event()
    pool.apply_async(gate.wait, (LIMIT,))
    for _ in range(5):
        pool.apply_async(int)
    timer = threading.Timer(0.05, gate.set)
    timer.start()
    pool.terminate()
    pool.join()
    timer.join()
    assert pool._state == "TERMINATE"
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in left)


def test_nobody_waits_for_ever_for_what_was_dropped() -> None:
    from concurrent.futures import CancelledError

    from fenshen._thread_pool import ThreadPool

    gate, begun = threading.Event(), threading.Event()
    called: list[object] = []
    with ThreadPool(1) as pool:
        running = pool.apply_async(lambda: (begun.set(), gate.wait(LIMIT)))
        assert begun.wait(LIMIT)
        jobs = [pool.apply_async(int, error_callback=called.append), pool.map_async(abs, range(20))]
        items = pool.imap(abs, range(3))
        while pool._taskqueue.qsize() < 8:
            time.sleep(0.001)
    for call in (*(job.get for job in jobs), items.next):
        with pytest.raises(CancelledError, match="the pool was terminated"):
            call(LIMIT)
    gate.set()
    assert running.get(LIMIT)[1]
    pool.join()
    assert called == []


def test_a_pool_that_is_gone_warns_and_ends_its_workers(ThreadPool) -> None:
    pool = ThreadPool(2)
    pool.map(abs, range(10))
    workers = list(pool._pool)
    gone = weakref.ref(pool)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del pool
        gc.collect()
    assert any("unclosed running multiprocessing pool" in str(warning.message) for warning in caught)
    caught.clear()  # a warning holds what it is about
    gc.collect()
    assert gone() is None
    for worker in workers:
        worker.join(LIMIT)
        assert not worker.is_alive()


def test_by_the_name_in_dummy() -> None:
    from fenshen._thread_pool import Pool, ThreadPool

    with Pool(2) as pool:
        assert type(pool) is ThreadPool
        assert pool.map(abs, [-1]) == [1]
    with multiprocessing.dummy.Pool(1) as theirs:
        assert isinstance(theirs, ThreadPool)


def test_many_threads_submit(pool) -> None:
    sums: list[int] = []
    submit = lambda: sums.append(sum(pool.map(abs, range(200), 3)))  # noqa: E731
    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert sums == [sum(range(200))] * 4
