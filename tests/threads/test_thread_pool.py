"""`ThreadPoolExecutor`: the contract of `concurrent.futures.ThreadPoolExecutor`."""

from __future__ import annotations

import concurrent.futures
import contextvars
import gc
import itertools
import os
import queue
import sys
import threading
import time
import traceback
import weakref

import pytest

from threads.futures_twins import LIMIT, needs_native, twins

pytestmark = needs_native

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE")
OWN: contextvars.ContextVar[str] = contextvars.ContextVar("OWN")


class Busy:
    """Keeps the workers of a pool at a job each, until the block ends."""

    def __init__(self, pool, count: int = 1) -> None:
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.futures = [pool.submit(self.work) for _ in range(count)]
        for _ in range(count):
            assert self.begun.acquire(timeout=LIMIT)

    def work(self) -> None:
        self.begun.release()
        assert self.go.wait(LIMIT)

    def __enter__(self) -> Busy:
        return self

    def __exit__(self, *exc: object) -> None:
        self.go.set()


def until(condition) -> None:
    """Wait until it holds."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


# -- Jobs -------------------------------------------------------------------------------------------------------------


@twins()
def test_a_job(futures) -> None:
    def call(*args, **kwargs):
        return args, kwargs

    with futures.ThreadPoolExecutor(2) as pool:
        assert pool.submit(call).result(LIMIT) == ((), {})
        assert pool.submit(call, 1, 2).result(LIMIT) == ((1, 2), {})
        assert pool.submit(call, 1, fn=2, self=3).result(LIMIT) == ((1,), {"fn": 2, "self": 3})
        assert pool.submit(call, a=1).result(LIMIT) == ((), {"a": 1})
        assert pool.submit([].append, 1).result(LIMIT) is None
        assert pool.submit("{} {}".format, 1, 2).result(LIMIT) == "1 2"
        with pytest.raises(TypeError, match="submit"):
            pool.submit()
        with pytest.raises(TypeError):
            pool.submit(fn=call)
        with pytest.raises(TypeError, match="not callable"):
            pool.submit(1).result(LIMIT)


@twins()
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error(futures, error) -> None:
    def fail():
        raise error

    with futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(fail)
        assert future.exception(LIMIT) is error
        with pytest.raises(type(error)):
            future.result()
        assert pool.submit(int).result(LIMIT) == 0
        assert len(pool._threads) == 1


def test_no_frame_of_ours_is_in_a_traceback() -> None:
    from fenshen.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        error = pool.submit(int, "x").exception(LIMIT)
        assert error.__traceback__ is None
        error = pool.submit(lambda: 1 / 0).exception(LIMIT)
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)] == ["<lambda>"]


@twins()
def test_nothing_is_kept(futures) -> None:
    class Held:
        pass

    def fail(held):
        local = Held()
        gone.append(weakref.ref(local))
        raise ValueError

    gone: list[weakref.ref[Held]] = []
    gc.disable()
    try:
        with futures.ThreadPoolExecutor(1) as pool:
            held = Held()
            gone.append(weakref.ref(held))
            future = pool.submit(fail, held)
            assert isinstance(future.exception(LIMIT), ValueError)
            del held, future
            until(lambda: all(ref() is None for ref in gone))
            future = pool.submit(Held)
            gone.append(weakref.ref(future.result(LIMIT)))
            del future
            until(lambda: all(ref() is None for ref in gone))
    finally:
        gc.enable()


@twins()
def test_a_job_that_waits_is_cancelled(futures) -> None:
    with futures.ThreadPoolExecutor(1) as pool:
        with Busy(pool) as busy:
            future = pool.submit(int)
            assert not busy.futures[0].cancel()
            assert busy.futures[0].running()
            assert future.cancel()
        assert pool.submit(int).result(LIMIT) == 0
        assert future._state == "CANCELLED_AND_NOTIFIED"


@twins()
def test_jobs_run_in_order(futures) -> None:
    with futures.ThreadPoolExecutor(1) as pool:
        out: list[int] = []
        with Busy(pool):
            jobs = [pool.submit(out.append, i) for i in range(100)]
            assert pool._work_queue.qsize() == 100
        concurrent.futures.wait(jobs, LIMIT)
    assert out == list(range(100))


# -- Workers ----------------------------------------------------------------------------------------------------------


@twins()
def test_defaults(futures) -> None:
    cpus = os.process_cpu_count() if sys.version_info >= (3, 13) else os.cpu_count()
    pool = futures.ThreadPoolExecutor()
    assert pool._max_workers == min(32, cpus + 4)
    assert (pool._shutdown, pool._broken, pool._threads) == (False, False, set())
    assert pool._thread_name_prefix.startswith("ThreadPoolExecutor-")
    assert pool._work_queue.empty()
    pool.shutdown()
    assert pool._shutdown


@twins()
def test_what_it_refuses(futures) -> None:
    for count in (0, -1):
        with pytest.raises(ValueError, match=r"^max_workers must be greater than 0$"):
            futures.ThreadPoolExecutor(count)
    with pytest.raises(TypeError, match=r"^initializer must be a callable$"):
        futures.ThreadPoolExecutor(initializer=1)


@twins()
def test_workers_are_threads_with_names(futures) -> None:
    with futures.ThreadPoolExecutor(2, thread_name_prefix="mine") as pool, Busy(pool, 2):
        assert sorted(thread.name for thread in pool._threads) == ["mine_0", "mine_1"]
        assert all(type(thread) is threading.Thread and not thread.daemon for thread in pool._threads)
        assert pool._threads <= set(threading.enumerate())
    with futures.ThreadPoolExecutor(1) as pool:
        name = pool.submit(lambda: threading.current_thread().name).result(LIMIT)
        assert name == f"{pool._thread_name_prefix}_0"


@twins()
def test_an_idle_worker_is_used_first(futures) -> None:
    with futures.ThreadPoolExecutor(10) as pool:
        for _ in range(5):
            assert pool.submit(int).result(LIMIT) == 0
            until(lambda: pool._idle_semaphore._value == 1)
        assert len(pool._threads) == 1
        with Busy(pool, 3):
            assert len(pool._threads) == 3


@twins()
def test_no_more_workers_than_allowed(futures) -> None:
    with futures.ThreadPoolExecutor(4) as pool:
        gate = threading.Semaphore(0)
        jobs = [pool.submit(gate.acquire) for _ in range(60)]
        assert len(pool._threads) == 4
        for _ in jobs:
            gate.release()
        concurrent.futures.wait(jobs, LIMIT)
    assert len(pool._threads) == 4


@twins()
def test_a_fraction_of_a_worker_is_a_worker(futures) -> None:
    with futures.ThreadPoolExecutor(3 / 2) as pool:
        gate = threading.Semaphore(0)
        jobs = [pool.submit(gate.acquire) for _ in range(10)]
        assert len(pool._threads) == 2
        gate.release(len(jobs))
        concurrent.futures.wait(jobs, LIMIT)


@twins()
def test_a_pool_that_grows(futures) -> None:
    with futures.ThreadPoolExecutor(1) as pool, Busy(pool):
        pool._max_workers = 2
        assert pool.submit(int).result(LIMIT) == 0
        assert len(pool._threads) == 2


@twins()
def test_an_initializer(futures) -> None:
    seen: list[tuple[object, str]] = []

    def begin(tag):
        seen.append((tag, threading.current_thread().name))

    with futures.ThreadPoolExecutor(2, "w", begin, ("t",)) as pool, Busy(pool, 2):
        pass
    assert sorted(seen) == [("t", "w_0"), ("t", "w_1")]


@twins()
def test_an_initializer_that_fails(futures, caplog) -> None:
    def begin():
        assert go.wait(LIMIT)
        raise ValueError("at the beginning")

    go = threading.Event()
    pool = futures.ThreadPoolExecutor(1, initializer=begin)
    jobs = [pool.submit(int) for _ in range(3)]
    go.set()
    words = "^A thread initializer failed, the thread pool is not usable anymore$"
    for job in jobs:
        with pytest.raises(concurrent.futures.thread.BrokenThreadPool, match=words):
            job.result(LIMIT)
    with pytest.raises(concurrent.futures.BrokenExecutor, match=words):
        pool.submit(int)
    pool.shutdown()
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("concurrent.futures", "Exception in initializer:")
    assert isinstance(record.exc_info[1], ValueError)


@twins()
def test_a_callback_that_exits_ends_its_worker(futures, caplog) -> None:
    def leave(future):
        raise SystemExit

    pool = futures.ThreadPoolExecutor(1)
    with Busy(pool) as busy:
        busy.futures[0].add_done_callback(leave)
    pool.shutdown()
    assert [record.getMessage() for record in caplog.records] == ["Exception in worker"]


def test_a_job_has_a_copy_of_its_submitters_context() -> None:
    from fenshen.futures import ThreadPoolExecutor

    def begin():
        OWN.set("worker's")
        VARIABLE.set("worker's")

    def look():
        seen = VARIABLE.get("nothing"), OWN.get("nothing")
        VARIABLE.set("changed")
        OWN.set("changed")
        return seen

    def submit(pool):
        return pool.submit(look).result(LIMIT)

    with ThreadPoolExecutor(1) as pool:
        assert submit(pool) == ("nothing", "nothing")
        context = contextvars.copy_context()
        context.run(VARIABLE.set, "mine")
        assert context.run(submit, pool) == ("mine", "nothing")
        assert context[VARIABLE] == "mine"
        assert submit(pool) == ("nothing", "nothing")
    with ThreadPoolExecutor(1, initializer=begin) as pool:
        assert submit(pool) == ("worker's", "worker's")
        assert context.run(submit, pool) == ("mine", "worker's")


# -- Many calls -------------------------------------------------------------------------------------------------------


@twins()
def test_map(futures) -> None:
    with futures.ThreadPoolExecutor(3) as pool:
        assert list(pool.map(pow, range(10), range(10))) == [n**n for n in range(10)]
        assert list(pool.map(pow, range(10), range(3))) == [1, 1, 4]
        assert list(pool.map(pow, [], [])) == []
        assert list(pool.map(str, range(5), chunksize=2)) == list("01234")
        results = pool.map(divmod, [1, 1, 1], [1, 0, 1])
        assert next(results) == (1, 0)
        with pytest.raises(ZeroDivisionError):
            next(results)
        with pytest.raises(StopIteration):
            next(results)


@twins()
def test_map_with_a_timeout(futures) -> None:
    with futures.ThreadPoolExecutor(2) as pool:
        gate = threading.Event()
        results = pool.map(lambda event: event and event.wait(LIMIT), [None, gate, None], timeout=0.1)
        assert next(results) is None
        with pytest.raises(concurrent.futures.TimeoutError):
            next(results)
        gate.set()


@twins()
def test_map_submits_at_once_and_cancels_what_nobody_wants(futures) -> None:
    pool = futures.ThreadPoolExecutor(1)
    with Busy(pool):
        results = pool.map(int, range(5))
        assert pool._work_queue.qsize() == 5
        results.close()
        unstarted = pool.map(int, range(5))
        del unstarted
    pool.shutdown()


def test_map_with_a_buffer() -> None:
    from fenshen.futures import ThreadPoolExecutor

    taken: list[int] = []

    def numbers():
        for i in itertools.count():
            taken.append(i)
            yield i

    with ThreadPoolExecutor(2) as pool:
        results = pool.map(str, numbers(), buffersize=3)
        assert taken == [0, 1, 2]
        assert [next(results) for _ in range(4)] == list("0123")
        assert taken == list(range(7))
        assert list(pool.map(pow, range(5), range(5), buffersize=10)) == [1, 1, 4, 27, 256]
        results.close()
        for bad in (0, -1):
            with pytest.raises(ValueError, match=r"^buffersize must be None or > 0$"):
                pool.map(str, [], buffersize=bad)
        with pytest.raises(TypeError, match=r"^buffersize must be an integer or None$"):
            pool.map(str, [], buffersize=1.0)
    results = pool_that_is_gone()
    assert list(results) == list("01")


def pool_that_is_gone():
    """The results of a pool that nobody has any more: what was submitted is still done."""
    from fenshen.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(1).map(str, itertools.count(), buffersize=2)


# -- What programs do to it -------------------------------------------------------------------------------------------


@twins()
@pytest.mark.parametrize("kind", [lambda: queue.Queue(3), queue.SimpleQueue, queue.LifoQueue])
def test_a_queue_of_the_programs_own(futures, kind) -> None:
    class Mine(futures.ThreadPoolExecutor):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self._work_queue = kind()

    with Mine(2) as pool:
        jobs = [pool.submit(pow, 2, i) for i in range(20)]
        assert [job.result(LIMIT) for job in jobs] == [2**i for i in range(20)]
        assert len(pool._threads) <= 2
    pool = Mine(1)
    pool.submit(int).result(LIMIT)
    (worker,) = pool._threads
    del pool
    gc.collect()
    worker.join(LIMIT)
    assert not worker.is_alive()


@twins()
def test_workers_of_the_programs_own(futures) -> None:
    def work(executor_reference, work_queue):
        while (item := work_queue.get(block=True)) is not None:
            item.run()
            del item
        work_queue.put(None)

    class Daemons(futures.ThreadPoolExecutor):
        def _adjust_thread_count(self):
            if self._idle_semaphore.acquire(timeout=0):
                return
            if len(self._threads) < self._max_workers:
                thread = threading.Thread(target=work, args=(weakref.ref(self), self._work_queue), daemon=True)
                thread.start()
                self._threads.add(thread)

    with Daemons(2) as pool:
        jobs = [pool.submit(pow, 2, exp=i) for i in range(20)]
        assert [job.result(LIMIT) for job in jobs] == [2**i for i in range(20)]
        assert all(thread.daemon for thread in pool._threads)
    assert not any(thread.is_alive() for thread in pool._threads)


@twins()
def test_the_queue_is_emptied_by_hand(futures) -> None:
    pool = futures.ThreadPoolExecutor(1)
    with Busy(pool):
        future = pool.submit(pow, 2, exp=3)
        item = pool._work_queue.get_nowait()
        assert item.future is future
        with pytest.raises(queue.Empty):
            pool._work_queue.get_nowait()
        item.run()
        assert future.result(0) == 8
        cancelled = pool.submit(int)
        pool._work_queue.get(block=False).future.cancel()
        assert cancelled.cancelled()
        with pytest.raises(queue.Empty):
            pool._work_queue.get(timeout=0.01)
        pool._work_queue.put(None)
    pool.shutdown()


@twins()
def test_submit_is_overridden(futures) -> None:
    class Mine(futures.ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            future = super().submit(fn, *args, **kwargs)
            seen.append(future)
            return future

    seen: list[object] = []
    with Mine(1) as pool:
        assert list(pool.map(int, "12")) == [1, 2]
    assert len(seen) == 2


def test_it_is_the_standard_librarys() -> None:
    from fenshen.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as ours, concurrent.futures.ThreadPoolExecutor(1) as theirs:
        assert isinstance(ours, concurrent.futures.ThreadPoolExecutor)
        assert isinstance(theirs, ThreadPoolExecutor)
        assert not isinstance(1, ThreadPoolExecutor)
        assert issubclass(ThreadPoolExecutor, concurrent.futures.Executor)


# -- The end ----------------------------------------------------------------------------------------------------------


@twins()
def test_shutdown(futures) -> None:
    pool = futures.ThreadPoolExecutor(2)
    jobs = [pool.submit(int) for _ in range(100)]
    pool.shutdown()
    pool.shutdown()
    assert all(job.done() for job in jobs)
    assert not any(thread.is_alive() for thread in pool._threads)
    for call in (lambda: pool.submit(int), lambda: list(pool.map(int, "1"))):
        with pytest.raises(RuntimeError, match=r"^cannot schedule new futures after shutdown$"):
            call()


@twins()
def test_shutdown_without_waiting(futures) -> None:
    pool = futures.ThreadPoolExecutor(1)
    with Busy(pool):
        future = pool.submit(int)
        pool.shutdown(wait=False)
        assert not future.done()
    assert future.result(LIMIT) == 0
    for thread in pool._threads:
        thread.join(LIMIT)


@twins()
def test_shutdown_cancels(futures) -> None:
    pool = futures.ThreadPoolExecutor(1)
    with Busy(pool) as busy:
        jobs = [pool.submit(int) for _ in range(5)]
        pool.shutdown(wait=False, cancel_futures=True)
        assert all(job.cancelled() for job in jobs)
    pool.shutdown()
    assert not busy.futures[0].cancelled()


@twins()
def test_a_worker_may_shut_it_down(futures) -> None:
    pool = futures.ThreadPoolExecutor(1)
    assert pool.submit(pool.shutdown, wait=False).result(LIMIT) is None
    pool.shutdown()


@twins()
@pytest.mark.parametrize("busy", [False, True])
def test_a_pool_that_is_gone_ends_its_workers(futures, busy) -> None:
    pool = futures.ThreadPoolExecutor(3)
    gate = threading.Event()
    jobs = [pool.submit(gate.wait, LIMIT) for _ in range(5)]
    workers = list(pool._threads)
    if not busy:
        gate.set()
        concurrent.futures.wait(jobs, LIMIT)
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    gate.set()
    for worker in workers:
        worker.join(LIMIT)
        assert not worker.is_alive()
    assert all(job.result(LIMIT) for job in jobs)


@twins()
def test_many_submitters(futures) -> None:
    with futures.ThreadPoolExecutor(4) as pool:
        sums: list[int] = []

        def submit():
            sums.append(sum(job.result(LIMIT) for job in [pool.submit(int, i) for i in range(300)]))

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
    assert sums == [sum(range(300))] * 4
