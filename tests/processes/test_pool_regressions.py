"""What once went wrong in process pools, each by its cause."""

from __future__ import annotations

import collections
import gc
import multiprocessing as mp
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from fenshen import _supervisor, futures
from fenshen import multiprocessing as shared

LIMIT = 60
MANY = 1100


def run(program: str) -> str:
    """What a program prints that may hang."""
    source = textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=2 * LIMIT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


class Strict(Exception):
    """One that has no other attributes than its arguments."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


def be_strict() -> None:
    raise Strict("strict")


class Buffer:
    """Bytes that pickle out of band."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        return Buffer, (pickle.PickleBuffer(self.data),)

    def values(self) -> set[int]:
        view = memoryview(self.data)
        return {view[0], view[len(view) // 2], view[-1]}


def make_buffer(n: int) -> Buffer:
    return Buffer(bytearray([n]) * (1 << 20))


def values_in_child(buffer: Buffer) -> list[int]:
    """What a forked child sees when this process is done with a buffer, and its slab was used for others."""
    asked, ask = os.pipe()
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ask)
            os.read(asked, 1)
            os.write(tell, bytes(sorted(buffer.values())))
        finally:
            os._exit(0)
    return [pid, ask, told, asked, tell]


def seen_by_child(pid: int, ask: int, told: int, asked: int, tell: int) -> list[int]:
    os.write(ask, b"x")
    os.close(tell)
    seen = list(os.read(told, 8))
    os.waitpid(pid, 0)
    for fd in (ask, told, asked):
        os.close(fd)
    return seen


_kept: list[Any] = []


def keep_in_child(buffer: Buffer) -> None:
    _kept.append(values_in_child(buffer))


def kept_by_child(_: Buffer) -> list[int]:
    return seen_by_child(*_kept.pop())


class Late:
    """What takes its time to be loaded."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _second, (_Sleep(), self.value)


class _Sleep:
    def __reduce__(self) -> tuple[Any, ...]:
        return time.sleep, (0.5,)


def _second(_: object, value: Any) -> Any:
    return value


def late_value() -> Late:
    return Late(shared.Value("i", 7))


for _n in range(MANY):
    exec(f"def number_{_n}(): return {_n}")


def test_a_loop_and_the_pools_thread_never_wait_for_each_other() -> None:
    # Either of them took the engine's lock with the interpreter held, while the other ran Python code under it.
    printed = run(
        """
        import asyncio, time
        import fenshen
        from fenshen.futures import ProcessPoolExecutor

        class Slow:
            def __reduce__(self):
                return time.sleep, (0.004,)

        async def main():
            loop = asyncio.get_running_loop()
            with ProcessPoolExecutor(2) as pool:
                for _ in range(10):
                    await asyncio.gather(*(loop.run_in_executor(pool, Slow) for _ in range(40)))
            print("done")

        if __name__ == "__main__":
            fenshen.run(main())
        """
    )
    assert printed == "done"


def test_what_a_cleared_task_drops_may_use_the_pool() -> None:
    # Cancelled tasks that were still queued were dropped under the pool's lock.
    printed = run(
        """
        import sys, time
        from fenshen.futures import ProcessPoolExecutor

        class Last:
            def __del__(self):
                pool.stats()
                print("dropped")
            def __reduce__(self):
                return int, ()

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                for _ in range(2):
                    pool.submit(time.sleep, 0.3)
                future = pool.submit(id, Last())
                sys.setswitchinterval(LIMIT)
                future.cancel()
                del future
                pool._engine.clear()
                sys.setswitchinterval(0.005)
        """.replace("LIMIT", str(LIMIT))
    )
    assert printed == "dropped"


def test_an_exception_that_refuses_attributes_is_raised() -> None:
    # Its cause could not be set, and so nothing was: whoever waited did so for ever.
    with futures.ProcessPoolExecutor(1) as pool:
        error = pool.submit(be_strict).exception(LIMIT)
    assert isinstance(error, Strict)
    assert "be_strict" in str(error.__cause__)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_goes_wrong_at_a_workers_end_is_told_to_who_waits() -> None:
    def refuse(_: object) -> None:
        raise ValueError("no")

    with futures.ProcessPoolExecutor(1) as pool:
        pid = pool.submit(os.getpid).result(LIMIT)
        future = pool.submit(time.sleep, LIMIT)
        until(future.running)
        pool._supervisor.on_end = refuse
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ValueError, match="no"):
            future.result(LIMIT)
        pool._supervisor.on_end = None
        pool._supervisor.resize(1)
        assert pool.submit(int, "3").result(LIMIT) == 3


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_what_was_received_stays_as_it_is_in_a_forked_child() -> None:
    # The child had the slab's own pages, which its parent gave back.
    with futures.ProcessPoolExecutor(1) as pool:
        buffer = pool.submit(make_buffer, 1).result(LIMIT)
        child = values_in_child(buffer)
        del buffer
        for n in range(2, 6):
            assert pool.submit(make_buffer, n).result(LIMIT).values() == {n}
        assert seen_by_child(*child) == [1]


def test_arguments_stay_as_they_are_in_a_child_that_a_task_forks() -> None:
    with futures.ProcessPoolExecutor(1) as pool:
        pool.submit(keep_in_child, make_buffer(1)).result(LIMIT)
        assert pool.submit(kept_by_child, make_buffer(2)).result(LIMIT) == [1]


@pytest.mark.parametrize("is_used", [False, True])
def test_a_pool_that_a_fork_copied_is_the_childs_own_if_nobody_used_it(is_used: bool) -> None:
    printed = run(
        f"""
        import os, sys
        from fenshen.futures import ProcessPoolExecutor

        if __name__ == "__main__":
            pool = ProcessPoolExecutor(2)
            future = pool.submit(int) if {is_used} else None
            pid = os.fork()
            if pid == 0:
                try:
                    print(pool.submit(int, "5").result({LIMIT}), pool.stats()["workers"])
                except RuntimeError as e:
                    print(e, future.running(), pool.stats()["workers"])
                pool.shutdown()
                sys.stdout.flush()
                os._exit(0)
            os.waitpid(pid, 0)
            pool.shutdown()
        """
    )
    foreign = "this pool belongs to the process that this one was forked from False 0"
    assert printed == (foreign if is_used else "5 2")


def test_shared_memory_of_a_workers_last_task_arrives() -> None:
    # The worker was told to end before its result was loaded.
    context = mp.get_context("spawn")
    with futures.ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        value: Any = pool.submit(late_value).result(LIMIT)
        assert value.value == 7


def close_over(pool: futures.ProcessPoolExecutor) -> weakref.ref[Any]:
    kept = collections.deque([3])
    assert pool.submit(lambda: len(kept)).result(LIMIT) == 1
    assert list(pool.submit(kept.copy).result(LIMIT)) == [3]
    return weakref.ref(kept)


def test_a_closure_goes_with_its_task() -> None:
    with futures.ProcessPoolExecutor(1) as pool:
        gone = close_over(pool)
        until(lambda: gc.collect() >= 0 and gone() is None)


def test_workers_forget_functions_and_learn_them_again() -> None:
    functions = [globals()[f"number_{n}"] for n in range(MANY)]
    with futures.ProcessPoolExecutor(1, mp.get_context("fork")) as pool:
        for _ in range(2):
            tasks = [pool.submit(function) for function in functions]
            assert [task.result(LIMIT) for task in tasks] == list(range(MANY))


def test_workers_that_cannot_be_taken_in_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    # They waited for tasks for ever, and the program for them.
    taken: list[Any] = []
    pidfd = _supervisor._pidfd

    def second_fails(process: Any) -> int:
        taken.append(process)
        if len(taken) == 2:
            raise OSError(24, "Too many open files")
        return pidfd(process)

    monkeypatch.setattr(_supervisor, "_pidfd", second_fails)
    with futures.ProcessPoolExecutor(3, mp.get_context("fork")) as pool:
        with pytest.raises(OSError, match="Too many"):
            pool.submit(int)
        assert len(pool._processes) == 1
        assert pool.submit(int, "4").result(LIMIT) == 4
        assert len(pool._processes) == 3
    assert not taken[1].is_alive()


def test_a_pool_whose_thread_cannot_start_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "fenshen-pool":
            raise RuntimeError("can't start new thread")
        start(thread)

    with futures.ProcessPoolExecutor(1) as pool:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                pool.submit(int)
        assert pool.submit(int, "4").result(LIMIT) == 4
        assert len(pool._processes) == 1


def test_a_pool_that_breaks_calls_back_with_nothing_locked() -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more")

    with futures.ProcessPoolExecutor(1) as pool:
        pid = pool.submit(os.getpid).result(LIMIT)
        running = pool.submit(time.sleep, LIMIT)
        until(running.running)
        waiting = [pool.submit(int) for _ in range(3)]
        calls_back = threading.Event()
        errors: list[BaseException] = []

        def submit_again(_: object) -> None:
            calls_back.set()
            try:
                pool.submit(int)
            except RuntimeError as e:
                errors.append(e)

        waiting[-1].add_done_callback(submit_again)
        with pool._shutdown_lock:  # as another thread's submit() has it
            pool._supervisor._launcher.start_many = refuse
            os.kill(pid, signal.SIGKILL)
            assert calls_back.wait(LIMIT)
            assert pool._supervisor._lock.acquire(timeout=LIMIT)
            pool._supervisor._lock.release()
        assert isinstance(running.exception(LIMIT), futures.WorkerDied)
        until(lambda: errors)


def fork_and_return() -> int:
    """What no task should do: return in the child as well."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return os.getpid()


def test_a_child_that_comes_back_from_its_task_ends() -> None:
    # It wrote into the rings as if it were the worker.
    with futures.ProcessPoolExecutor(1) as pool:
        pid = pool.submit(os.getpid).result(LIMIT)
        for _ in range(3):
            assert pool.submit(fork_and_return).result(LIMIT) == pid
        assert pool.submit(os.getpid).result(LIMIT) == pid


def test_places_are_given_back_when_submit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise KeyboardInterrupt

    with futures.ProcessPoolExecutor(1, max_pending=1) as pool:
        pool.submit(int).result(LIMIT)
        engine = pool._engine
        for _ in range(2):
            pool._engine = type("Refusing", (), {"submit": refuse, "counts": engine.counts})()  # type: ignore[assignment]
            with pytest.raises(KeyboardInterrupt):
                pool.submit(int)
            pool._engine = engine
        assert pool.submit(int, "4").result(LIMIT) == 4


class Exits:
    """What ends the thread that pickles it."""

    def __reduce__(self) -> Any:
        raise SystemExit(3)


def test_what_ends_the_thread_that_pickles_it_is_its_tasks_error() -> None:
    # The pool's helper ended, and with it the pool did not.
    pool = shared.Pool(1)
    results = pool.imap(type, [1, Exits(), 3])
    assert results.next(LIMIT) is int
    with pytest.raises(SystemExit):
        results.next(LIMIT)
    assert results.next(LIMIT) is int
    with pytest.raises(SystemExit):
        pool.apply_async(type, (Exits(),), callback=print).get(LIMIT)
    assert not pool._cache  # type: ignore[attr-defined]
    pool.close()
    pool.join()
