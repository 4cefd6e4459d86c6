"""`multiprocessing.Pool` on supervised workers: what the standard library's does, and what that one hangs at."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import multiprocessing.pool as standard
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from commands import run
from fenshen.futures import WorkerDied
from fenshen.multiprocessing.pool import Pool

sys.path.insert(0, str(Path(__file__).parent))
import pooling

PATIENCE = 60


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= before


@pytest.fixture(scope="module", params=["fork", "spawn", "forkserver"])
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = Pool(2, context=multiprocessing.get_context(request.param))
    yield made
    made.close()
    made.join()


@pytest.fixture(scope="module")
def theirs() -> Iterator[Any]:
    with standard.Pool(2, context=multiprocessing.get_context("fork")) as made:
        yield made


def forks(*args: Any, **kwargs: Any) -> Any:
    return Pool(*args, context=multiprocessing.get_context("fork"), **kwargs)


CALLS = {
    "apply": lambda p: p.apply(pooling.plus, (1,), {"z": 5}),
    "apply_async": lambda p: p.apply_async(pooling.plus, (1, 2)).get(PATIENCE),
    "map": lambda p: p.map(pooling.square, range(100)),
    "map, chunks": lambda p: p.map(pooling.square, range(100), chunksize=7),
    "map, nothing": lambda p: p.map(pooling.square, []),
    "map, a generator": lambda p: p.map(pooling.square, (x for x in range(5))),
    "map_async": lambda p: p.map_async(pooling.square, range(10)).get(PATIENCE),
    "starmap": lambda p: p.starmap(pooling.plus, [(1, 2), (3, 4)]),
    "starmap_async": lambda p: p.starmap_async(pooling.plus, [(1, 2), (3,)]).get(PATIENCE),
    "imap": lambda p: list(p.imap(pooling.square, range(50))),
    "imap, chunks": lambda p: list(p.imap(pooling.square, range(50), chunksize=8)),
    "imap, next": lambda p: p.imap(pooling.square, [3]).next(timeout=PATIENCE),
    "imap_unordered": lambda p: sorted(p.imap_unordered(pooling.square, range(50))),
    "imap_unordered, chunks": lambda p: sorted(p.imap_unordered(pooling.square, range(50), 8)),
    "daemon": lambda p: p.apply(pooling.is_daemon),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_results(pool: Any, theirs: Any, call: Any) -> None:
    assert call(pool) == call(theirs)


def broken_items() -> Iterator[int]:
    yield 1
    raise KeyError("in the iterable")


ERRORS = {
    "apply": lambda p: p.apply(pooling.fail, ("x",)),
    "map": lambda p: p.map(pooling.fail_at, range(10)),
    "imap": lambda p: list(p.imap(pooling.fail_at, range(10))),
    "get": lambda p: p.apply_async(pooling.sleep, (0.5,)).get(timeout=0.001),
    "items": lambda p: list(p.imap(pooling.square, broken_items())),
    "items, map": lambda p: p.map(pooling.square, broken_items()),
    "items, chunks": lambda p: list(p.imap_unordered(pooling.square, broken_items(), 2)),
    "no function": lambda p: p.apply(5),
    "chunk": lambda p: p.imap(pooling.square, [], 0),
    "result": lambda p: p.apply(pooling.unpicklable),
    "pickled": lambda p: pickle.dumps(p),
    "running": lambda p: p.join(),
}


def outcome(call: Any, p: Any) -> Any:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call(p)
    exc = caught.value
    return type(exc), str(exc).partition("name=")[0], type(exc.__cause__)


@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS)
def test_errors(theirs: Any, call: Any) -> None:
    with forks(2) as ours:
        assert outcome(call, ours) == outcome(call, theirs)


def test_an_error_has_the_traceback_of_the_worker(pool: Any) -> None:
    with pytest.raises(ValueError, match="number x") as caught:
        pool.apply(pooling.fail, ("x",))
    cause = caught.value.__cause__
    assert type(cause) is standard.RemoteTraceback
    assert 'return int(f"number {x}")' in cause.tb


def test_of_the_standard_class(pool: Any) -> None:
    assert isinstance(pool, standard.Pool)
    assert issubclass(standard.Pool, Pool)
    result = pool.apply_async(pooling.square, (2,))
    assert isinstance(result, standard.AsyncResult)
    result.wait(PATIENCE)
    assert result.ready()
    assert result.successful()


def test_what_pickle_refuses(pool: Any) -> None:
    factor = 3
    assert pool.map(lambda x: x * factor, range(4)) == [0, 3, 6, 9]


def test_callbacks() -> None:
    seen: list[Any] = []
    failed: list[Any] = []
    with forks(2) as pool:
        results = [
            pool.apply_async(pooling.square, (3,), callback=seen.append, error_callback=failed.append),
            pool.map_async(pooling.square, [1, 2], callback=seen.append),
            pool.apply_async(pooling.fail, ("x",), callback=seen.append, error_callback=failed.append),
            pool.starmap_async(pooling.plus, [(1, "x")], error_callback=failed.append),
        ]
        for result in results:
            result.wait(PATIENCE)
    assert sorted(map(str, seen)) == ["9", "[1, 4]"]
    assert sorted(type(exc).__name__ for exc in failed) == ["TypeError", "ValueError"]


def test_a_callback_may_use_the_pool() -> None:
    with forks(1) as pool:
        inner: list[Any] = []
        first = pool.apply_async(
            pooling.square, (3,), callback=lambda x: inner.append(pool.apply(pooling.square, (x,)))
        )
        first.wait(PATIENCE)
        assert inner == [81]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_fails_holds_nobody() -> None:
    with forks(1) as pool:
        assert pool.apply_async(pooling.square, (3,), callback=lambda _: 1 / 0).get(PATIENCE) == 9
        assert pool.apply_async(pooling.square, (4,), callback=lambda _: None).get(PATIENCE) == 16


def test_workers_are_there_from_the_start() -> None:
    with forks(3) as pool:
        assert len(pool._pool) == pool._processes == 3
        assert set(pool._pool) <= set(multiprocessing.active_children())
        assert all(worker.name.startswith("ForkPoolWorker-") for worker in pool._pool)
        assert all(worker.daemon for worker in pool._pool)
        assert pool.apply(pooling.name).startswith("ForkPoolWorker-")
        assert repr(pool) == f"<{Pool.__module__}.Pool state=RUN pool_size=3>"


def test_a_second_pool_is_no_reason_for_a_warning() -> None:
    # In a process of its own, where no thread is but those of the pools.
    code = """
        import multiprocessing
        from fenshen.multiprocessing.pool import Pool
        context = multiprocessing.get_context("fork")
        with Pool(1, context=context) as first, Pool(1, context=context) as second:
            print(first.apply(abs, (-2,)), second.apply(abs, (-2,)))
    """
    assert run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)]) == (0, "2 2\n", "")


def test_an_initializer(pool: Any) -> None:
    context = pool._ctx
    with Pool(2, pooling.set_state, ("initialized",), context=context) as another:
        assert set(another.map(pooling.state, range(20))) == {"initialized"}
    assert pooling.STATE == "as imported"


def test_what_a_task_leaves_the_next_one_finds() -> None:
    with forks(1) as pool:
        pool.apply(pooling.set_state, ("left",))
        assert pool.apply(pooling.state) == "left"


def test_forked_workers_and_their_replacements_see_the_same_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "STATE", "before the pool")
    with forks(1) as pool:
        monkeypatch.setattr(pooling, "STATE", "after it")
        assert pool.apply(pooling.state) == "before the pool"
        with pytest.raises(WorkerDied):
            pool.apply(pooling.kill)
        assert pool.apply(pooling.state) == "before the pool"


def test_an_initializer_that_fails_fails_the_tasks(capfd: pytest.CaptureFixture[str]) -> None:
    with forks(2, pooling.bad_initializer) as pool:
        result = pool.map_async(pooling.square, range(10))
        with pytest.raises(RuntimeError, match="worker process"):
            result.get(PATIENCE)
        with pytest.raises(RuntimeError, match="worker process"):
            pool.apply(pooling.square, (1,))
    assert "LookupError: no such thing" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"processes": 0}, ValueError, "Number of processes must be at least 1"),
        ({"maxtasksperchild": 0}, ValueError, "maxtasksperchild must be a positive int or None"),
        ({"maxtasksperchild": "1"}, ValueError, "maxtasksperchild must be a positive int or None"),
        ({"initializer": 5}, TypeError, "initializer must be a callable"),
    ],
)
def test_arguments_that_are_refused(arguments: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        forks(**arguments)


def test_a_worker_is_replaced_after_so_many_tasks() -> None:
    with forks(1, maxtasksperchild=3) as pool:
        first = pool._pool[0].pid
        pids = [pool.apply(pooling.pid) for _ in range(9)]
        assert pids[0] == first
        groups = [len(list(group)) for _, group in itertools.groupby(pids)]
        assert groups == [3, 3, 3]


# -- Death ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "code"), [(pooling.kill, -9), (lambda: os._exit(7), 7)])
def test_only_the_task_of_a_dead_worker_fails(end: Any, code: int) -> None:
    with forks(2) as pool:
        before = [pool.apply_async(pooling.square, (n,)) for n in range(50)]
        lost = pool.apply_async(end)
        after = [pool.apply_async(pooling.square, (n,)) for n in range(50)]
        with pytest.raises(WorkerDied) as caught:
            lost.get(PATIENCE)
        assert caught.value.exitcode == code
        assert [result.get(PATIENCE) for result in before + after] == [n * n for n in range(50)] * 2


def test_a_map_one_of_whose_workers_died_fails() -> None:
    with forks(2) as pool:
        with pytest.raises(WorkerDied):
            pool.map(pooling.kill_at, range(20), chunksize=1)
        assert pool.map(pooling.square, range(20)) == [n * n for n in range(20)]


def test_an_imap_goes_on_after_a_death() -> None:
    with forks(2) as pool:
        results = pool.imap(pooling.kill_at, range(10))
        seen = []
        for _ in range(10):
            try:
                seen.append(results.next(PATIENCE))
            except WorkerDied:
                seen.append("died")
        assert seen == [0, 1, 2, 3, 4, "died", 6, 7, 8, 9]


def test_a_worker_that_is_killed_between_tasks_costs_nothing() -> None:
    with forks(1) as pool:
        for _ in range(3):
            os.kill(pool.apply(pooling.pid), 9)
            assert pool.apply_async(pooling.square, (5,)).get(PATIENCE) == 25


def test_an_exception_that_cannot_be_loaded() -> None:
    with forks(1) as pool:
        with pytest.raises(Exception, match="second"):
            pool.apply_async(pooling.raise_unpicklable).get(PATIENCE)
        assert pool.apply(pooling.square, (2,)) == 4


# -- The end ----------------------------------------------------------------------------------------------------------


def test_close_lets_everything_finish() -> None:
    pool = forks(2)
    results = [pool.apply_async(pooling.slow_pid, (0.01,)) for _ in range(20)]
    items = pool.imap(pooling.square, range(100))
    pool.close()
    with pytest.raises(ValueError, match="Pool not running"):
        pool.apply(pooling.square, (1,))
    pool.join()
    assert all(result.ready() for result in results)
    assert list(items) == [n * n for n in range(100)]


@pytest.mark.parametrize("most", [None, 3])
def test_the_last_workers_can_be_asked_how_they_ended(most: int | None) -> None:
    pool = forks(2, maxtasksperchild=most)
    pool.map_async(pooling.square, range(20), chunksize=1)
    pool.close()
    pool.join()
    assert [worker.exitcode for worker in pool._pool] == [0, 0]


def test_terminate_drops_everything() -> None:
    pool = forks(2)
    running = pool.apply_async(pooling.sleep, (600,))
    waiting = pool.map_async(pooling.sleep, [600] * 1000, chunksize=1)
    pool.terminate()
    pool.join()
    for result in (running, waiting):
        with pytest.raises(CancelledError):
            result.get(PATIENCE)
    with pytest.raises(ValueError, match="Pool not running"):
        pool.map(pooling.square, [1])


def test_terminate_ends_a_worker_that_would_not_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fenshen._process_pool._GRACE", 0.2)
    pool = forks(1, pooling.refuse_sigterm)
    pool.apply(pooling.square, (1,))
    pool.apply_async(pooling.sleep, (600,))
    pool.terminate()
    pool.join()
    assert [worker.exitcode for worker in pool._pool] == [-signal.SIGKILL]


def test_items_without_end_are_taken_as_they_are_used() -> None:
    taken = itertools.count()
    with forks(2) as pool:
        results = pool.imap(pooling.square, taken)
        assert [next(results) for _ in range(3000)] == [n * n for n in range(3000)]
    assert next(taken) < 10_000


def test_a_pool_that_is_forgotten_warns_and_ends() -> None:
    pool = forks(1)
    workers = list(pool._pool)
    held = [pool]
    del pool
    with pytest.warns(ResourceWarning, match="unclosed running multiprocessing pool"):
        held.clear()
    for worker in workers:
        worker.join(PATIENCE)
        assert not worker.is_alive()


def test_no_thread_and_no_descriptor_is_left() -> None:
    def once() -> None:
        with forks(2) as pool:
            seen = threading.Event()
            pool.map_async(pooling.square, range(10), callback=lambda _: seen.set()).get(PATIENCE)
            assert list(pool.imap(pooling.square, range(3))) == [0, 1, 4]
            assert seen.wait(PATIENCE)
        pool.join()

    once()
    gc.collect()
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(5):
        once()
    gc.collect()
    # Those of pools before may go meanwhile.
    assert len(os.listdir("/proc/self/fd")) <= before[0]
    assert threading.active_count() <= before[1]


def test_from_many_threads() -> None:
    outcomes = []
    with forks(2) as pool:

        def some(start: int) -> None:
            outcomes.append(pool.map(pooling.square, range(start, start + 100)))

        threads = [threading.Thread(target=some, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert sorted(outcomes) == [[n * n for n in range(start, start + 100)] for start in range(6)]


def test_subclasses_may_say_what_a_worker_is() -> None:
    class Mine(Pool):
        @staticmethod
        def Process(ctx: Any, *args: Any, **kwargs: Any) -> Any:
            process = ctx.Process(*args, **kwargs)
            process.name = "mine-1"
            return process

    with Mine(1, context=multiprocessing.get_context("fork")) as pool:
        assert pool._pool[0].name == "mine-1"
        assert pool.apply(pooling.name) == "mine-1"


PROGRAM = """
import multiprocessing, sys, time
sys.path.insert(0, {path!r})
import pooling

if __name__ == "__main__":
    pool = multiprocessing.get_context({method!r}).Pool(2)
    assert type(pool).__module__.startswith("fenshen"), type(pool)
    print(pool.map(pooling.square, range(4)))
    pool.apply_async(pooling.sleep, (600,))
    end = {end!r}
    if end == "close":
        pool = multiprocessing.Pool(1)
        results = pool.map_async(pooling.square, range(3))
        pool.close()
        pool.join()
        print(results.get())
"""


@pytest.mark.parametrize("end", ["", "close"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_program_ends_with_a_pool_at_work(method: str, end: str, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM.format(path=str(Path(__file__).parent), method=method, end=end))
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "fenshen", "run", str(file)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert time.monotonic() - started < PATIENCE
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[0, 1, 4, 9]", "[0, 1, 4]"][: 2 if end else 1]


class WithItsOwnQueues(Pool):
    def _setup_queues(self) -> None:
        super()._setup_queues()
        self.made = type(self._inqueue)


def test_a_pool_that_brings_queues_of_its_own_uses_them() -> None:
    with WithItsOwnQueues(1, context=multiprocessing.get_context("fork")) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2]
        assert pool.made is type(pool._inqueue)
    assert isinstance(pool, Pool)


def test_terminate_drops_what_a_worker_that_has_not_started_was_given() -> None:
    pool = forks(1, pooling.sleep, (600,))
    result = pool.apply_async(pooling.square, (3,))
    pool.terminate()
    pool.join()
    with pytest.raises(CancelledError):
        result.get(PATIENCE)


def test_a_task_that_comes_as_the_pool_gives_up_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = forks(1, pooling.bad_initializer)
    with pytest.raises(RuntimeError, match="before it was ready"):
        pool.apply_async(pooling.square, (3,)).get(PATIENCE)
    pool._supervisor.join(PATIENCE)
    monkeypatch.setattr(type(pool._taskqueue), "broken", None)  # as it was when whoever submits looked
    with pytest.raises(RuntimeError, match="before it was ready"):
        pool.apply_async(pooling.square, (3,)).get(PATIENCE)
    pool.terminate()
    pool.join()
