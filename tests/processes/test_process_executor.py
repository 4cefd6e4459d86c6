"""`ProcessPoolExecutor`: what it adds to the standard library's contract, which the conformance suites check."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing as mp
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent import futures as standard

import fenshen
import pytest
from commands import PYTHON, RUN, end, start
from fenshen import _to_process, futures

LIMIT = 60
METHODS = ("fork", "spawn", "forkserver")


def double(x: int) -> int:
    return 2 * x


def die(number: int = signal.SIGKILL) -> None:
    os.kill(os.getpid(), number)
    time.sleep(LIMIT)


def leave(code: int) -> None:
    os._exit(code)


def die_at_first(path: str) -> str:
    if not os.path.exists(path):
        open(path, "w").close()
        die()
    return "again"


def fail(words: str) -> None:
    exc = ValueError(words)
    if hasattr(exc, "add_note"):
        exc.add_note("a note")
    raise exc


def note(words: str) -> None:
    logging.getLogger("worker").warning(words)


def log_failure() -> None:
    try:
        fail("logged")
    except ValueError:
        logging.getLogger("worker").exception("it failed")


class Unloadable:
    def __reduce__(self) -> tuple[object, ...]:
        return _refuse, ()


def _refuse() -> None:
    raise RuntimeError("this cannot be loaded")


class BadError(Exception):
    """Pickles, but does not load: it needs two arguments, and keeps none."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__("bad")


def raise_bad() -> None:
    raise BadError(1, 2)


def give_unloadable() -> Unloadable:
    return Unloadable()


@pytest.fixture
def pool():
    with futures.ProcessPoolExecutor(2) as pool:
        yield pool
    assert not pool._processes


@pytest.mark.parametrize("method", METHODS)
def test_calls_are_made_elsewhere(method: str) -> None:
    with futures.ProcessPoolExecutor(2, mp_context=mp.get_context(method)) as pool:
        assert pool.submit(double, 21).result(LIMIT) == 42
        assert pool.submit(os.getpid).result(LIMIT) != os.getpid()
        assert list(pool.map(double, range(100), timeout=LIMIT)) == [2 * i for i in range(100)]
        assert pool.submit(int, "77", base=8).result(LIMIT) == 63
    assert not [child for child in mp.active_children() if "pool" in child.name.lower()]


def test_it_is_a_standard_pool_and_its_futures_are_standard(pool: futures.ProcessPoolExecutor) -> None:
    future = pool.submit(double, 1)
    assert isinstance(pool, standard.ProcessPoolExecutor)
    assert isinstance(pool, standard.Executor)
    assert isinstance(future, standard.Future)
    assert standard.wait([future], LIMIT).done == {future}
    assert list(standard.as_completed([future])) == [future]


def test_a_death_takes_its_own_task_along_and_no_other(pool: futures.ProcessPoolExecutor) -> None:
    before = [pool.submit(double, i) for i in range(50)]
    dying = pool.submit(die)
    after = [pool.submit(double, i) for i in range(50)]
    assert [f.result(LIMIT) for f in before + after] == 2 * [2 * i for i in range(50)]
    with pytest.raises(futures.WorkerDied, match="SIGKILL") as caught:
        dying.result(LIMIT)
    assert caught.value.exitcode == -signal.SIGKILL
    assert isinstance(caught.value, standard.process.BrokenProcessPool)
    with pytest.raises(futures.WorkerDied, match="exit status 3"):
        pool.submit(leave, 3).result(LIMIT)
    assert pool.submit(double, 4).result(LIMIT) == 8
    assert pool.stats()["died"] == 2


def test_a_lost_task_is_run_again_where_that_is_allowed(pool: futures.ProcessPoolExecutor, tmp_path) -> None:
    path = str(tmp_path / "tried")
    assert pool.with_options(retries=1).submit(die_at_first, path).result(LIMIT) == "again"


def test_a_task_that_runs_too_long_is_ended(pool: futures.ProcessPoolExecutor) -> None:
    slow = pool.with_options(timeout=0.1).submit(time.sleep, LIMIT)
    with pytest.raises(futures.TimeoutError, match=r"0\.1 s"):
        slow.result(LIMIT)
    assert pool.submit(double, 1).result(LIMIT) == 2


def test_the_time_of_a_task_counts_from_its_beginning() -> None:
    with futures.ProcessPoolExecutor(1, timeout=3) as pool:
        assert [f.result(LIMIT) for f in [pool.submit(time.sleep, 0.3) for _ in range(11)]] == [None] * 11


def _running(future: standard.Future) -> None:
    end = time.monotonic() + LIMIT
    while not future.running():
        assert time.monotonic() < end
        assert not future.done()
        time.sleep(0.01)


def test_cancel_ends_a_task_that_runs(pool: futures.ProcessPoolExecutor) -> None:
    slow = pool.submit(time.sleep, LIMIT)
    _running(slow)
    assert slow.cancel()
    assert slow.cancelled()
    assert slow.done()
    assert pool.submit(double, 1).result(LIMIT) == 2


def test_the_installed_class_leaves_a_running_task_alone(tmp_path) -> None:
    from fenshen._process_executor import Installed

    with Installed(1) as pool:
        slow = pool.submit(time.sleep, 0.5)
        _running(slow)
        waiting = pool.submit(double, 1)
        assert not slow.cancel()
        assert waiting.cancel()
        assert slow.result(LIMIT) is None
    with Installed(1, cancel_running=True) as pool:
        slow = pool.submit(time.sleep, LIMIT)
        _running(slow)
        assert slow.cancel()


def test_the_installed_class_can_be_pickled() -> None:
    program = (
        "import concurrent.futures as futures, pickle\n"
        "pool = futures.ProcessPoolExecutor\n"
        "print(pickle.loads(pickle.dumps(pool)) is pool, pool.__name__)\n"
    )
    plain, run = (end(start([*command, "-c", program])) for command in (PYTHON, RUN))
    assert plain.out == "True ProcessPoolExecutor\n"
    assert run == plain


def test_an_exception_comes_with_its_traceback_and_notes(pool: futures.ProcessPoolExecutor) -> None:
    with pytest.raises(ValueError, match="wrong") as caught:
        pool.submit(fail, "wrong").result(LIMIT)
    assert "in fail" in str(caught.value.__cause__)
    assert type(caught.value.__cause__) is standard.process._RemoteTraceback
    if hasattr(caught.value, "__notes__"):
        assert caught.value.__notes__ == ["a note"]


def test_what_pickle_refuses_goes_by_value(pool: futures.ProcessPoolExecutor) -> None:
    factor = 3

    def closure(x: int) -> int:
        return factor * x

    assert pool.submit(lambda: 7).result(LIMIT) == 7
    assert pool.submit(closure, 5).result(LIMIT) == 15
    assert pool.submit(lambda: lambda: 9).result(LIMIT)() == 9


def test_what_nothing_can_pickle_is_named(pool: futures.ProcessPoolExecutor) -> None:
    with pytest.raises(TypeError, match="lock") as caught:
        pool.submit(len, [1, {"key": threading.Lock()}]).result(LIMIT)
    if hasattr(caught.value, "__notes__"):
        assert "args[0][1]['key']: " in caught.value.__notes__[0]
    assert pool.submit(double, 1).result(LIMIT) == 2


def test_what_cannot_be_loaded_fails_its_own_task(pool: futures.ProcessPoolExecutor) -> None:
    for future, what in (
        (pool.submit(len, Unloadable()), "the task"),
        (pool.submit(give_unloadable), "the result"),
        (pool.submit(raise_bad), "the exception"),
    ):
        with pytest.raises(futures.NotLoaded, match=what) as caught:
            future.result(LIMIT)
        assert caught.value.__cause__ is not None
    assert pool.submit(double, 1).result(LIMIT) == 2


def test_large_arguments_and_results(pool: futures.ProcessPoolExecutor) -> None:
    for size in (0, 1, 8_000, 9_000, 65_536, 300_000, 5_000_000):
        sent = bytes([size % 251]) * size
        assert pool.submit(bytearray, sent).result(LIMIT) == sent
    many = [pool.submit(bytes, 1_000_000) for _ in range(50)]
    assert all(f.result(LIMIT) == bytes(1_000_000) for f in many)


def _changed(what):
    if isinstance(what, (bytes, str)):
        return type(what), None
    what[0] = what[-1]
    return type(what), what


@pytest.mark.parametrize("size", [10, 5_000, 400_000])
def test_arguments_are_the_tasks_own(pool: futures.ProcessPoolExecutor, size: int) -> None:
    for what in (bytes(size), bytearray(range(10)) * (size // 10), list(range(size)), "x" * size):
        before = bytes(what) if isinstance(what, bytearray) else list(what)
        kind, changed = pool.submit(_changed, what).result(LIMIT)
        assert kind is type(what)
        assert (bytes(what) if isinstance(what, bytearray) else list(what)) == before
        if changed is not None:
            assert changed[0] == what[-1]


def test_arrays_arrive_as_they_were_and_private(pool: futures.ProcessPoolExecutor) -> None:
    numpy = pytest.importorskip("numpy")

    def change(array):
        writable = array.flags.writeable
        if writable:
            array[0] = 77
        return writable, array

    for size in (10, 10_000, 1_000_000):
        array = numpy.arange(size, dtype="i8")
        writable, changed = pool.submit(change, array).result(LIMIT)
        assert writable
        assert array[0] == 0
        assert changed[0] == 77
        assert (changed[1:] == array[1:]).all()
        changed[1] = 5
        array.flags.writeable = False
        writable, same = pool.submit(change, array).result(LIMIT)
        assert not writable
        assert not same.flags.writeable
        assert (same == array).all()


def test_a_broken_initializer_breaks_the_pool() -> None:
    with futures.ProcessPoolExecutor(2, initializer=fail, initargs=("at the start",)) as pool:
        first = pool.submit(double, 1)
        with pytest.raises(standard.process.BrokenProcessPool):
            first.result(LIMIT)
        with pytest.raises(standard.process.BrokenProcessPool):
            pool.submit(double, 1).result(LIMIT)


def test_workers_log_through_the_program(caplog: pytest.LogCaptureFixture) -> None:
    with futures.ProcessPoolExecutor(1, logging=True) as pool:
        pool.submit(note, "from the worker").result(LIMIT)
        pool.submit(log_failure).result(LIMIT)
    messages = {record.getMessage(): record for record in caplog.records}
    assert messages["from the worker"].processName != mp.current_process().name
    assert messages["from the worker"].process != os.getpid()
    assert "ValueError: logged" in (messages["it failed"].exc_text or "")


def test_submit_waits_while_too_much_is_pending() -> None:
    with futures.ProcessPoolExecutor(1, max_pending=3) as pool:
        all_of_them = []
        for _ in range(10):
            all_of_them.append(pool.submit(time.sleep, 0.02))
            assert sum(not f.done() for f in all_of_them) <= 3
        assert [f.result(LIMIT) for f in all_of_them] == [None] * 10


class Counting(futures.ProcessPoolExecutor):
    """As programs derive from a pool to show how far it is."""

    done = 0

    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self.count)
        return future

    def count(self, _):
        self.done += 1


def test_a_map_goes_by_the_submit_that_a_class_brings() -> None:
    with Counting(1) as pool:
        assert list(pool.map(double, range(100))) == [2 * i for i in range(100)]
    assert pool.done == 100


def test_a_map_goes_by_the_submit_that_was_put_into_a_pool() -> None:
    submitted = []
    with futures.ProcessPoolExecutor(1) as pool:
        submit = pool.submit
        pool.submit = lambda *call: submitted.append(call) or submit(*call)  # type: ignore[method-assign]
        assert list(pool.map(double, iter(range(9)))) == [2 * i for i in range(9)]
    assert submitted == [(double, i) for i in range(9)]


def test_a_map_with_a_buffer_takes_no_more_than_it_needs() -> None:
    taken = []

    def source():
        for i in range(100):
            taken.append(i)
            yield i

    with futures.ProcessPoolExecutor(1) as pool:
        results = pool.map(double, source(), buffersize=4)
        assert len(taken) == 4
        assert [next(results) for _ in range(3)] == [0, 2, 4]
        assert len(taken) <= 8
        assert list(results) == [2 * i for i in range(3, 100)]
        with pytest.raises(ValueError, match="buffersize"):
            pool.map(double, [1], buffersize=0)
        with pytest.raises(ValueError, match="chunksize"):
            pool.map(double, [1], chunksize=0)


def test_a_chunk_gives_what_came_before_its_failure(pool: futures.ProcessPoolExecutor) -> None:
    results = pool.map(int, ["1", "2", "x", "4"], chunksize=4)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="x"):
        next(results)


def test_workers_are_replaced_after_their_tasks() -> None:
    with futures.ProcessPoolExecutor(1, mp_context=mp.get_context("spawn"), max_tasks_per_child=2) as pool:
        pids = [pool.submit(os.getpid).result(LIMIT) for _ in range(6)]
    assert len(set(pids)) == 3


def test_a_dropped_pool_ends_its_workers() -> None:
    pool = futures.ProcessPoolExecutor(1)
    future = pool.submit(double, 3)
    processes = dict(pool._processes)
    thread, gone = pool._executor_manager_thread, weakref.ref(pool)
    del pool
    assert future.result(LIMIT) == 6
    assert thread is not None
    thread.join(LIMIT)
    assert gone() is None
    assert not any(p.is_alive() for p in processes.values())


def test_kill_and_terminate_workers() -> None:
    for way in ("kill_workers", "terminate_workers"):
        pool = futures.ProcessPoolExecutor(2)
        slow = [pool.submit(time.sleep, LIMIT) for _ in range(5)]
        _running(slow[0])
        getattr(pool, way)()
        done = futures.wait(slow, LIMIT)
        assert not done.not_done
        with pytest.raises((futures.WorkerDied, futures.CancelledError, futures.BrokenExecutor)):
            slow[0].result()


def test_a_loop_takes_the_results_itself() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with futures.ProcessPoolExecutor(2) as pool:
            assert await loop.run_in_executor(pool, double, 4) == 8
            results = await asyncio.gather(*[loop.run_in_executor(pool, double, i) for i in range(200)])
            assert results == [2 * i for i in range(200)]
            with pytest.raises(futures.WorkerDied):
                await loop.run_in_executor(pool, die)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(loop.run_in_executor(pool, time.sleep, LIMIT), 0.2)
            assert pool._supervisor._loop is loop
        # A pool outlives the loop that drove it.

    pools = []

    async def first() -> None:
        pools.append(futures.ProcessPoolExecutor(1))
        assert await asyncio.get_running_loop().run_in_executor(pools[0], double, 1) == 2

    for runner in (main, first):
        loop = fenshen.new_event_loop()
        try:
            loop.run_until_complete(runner())
        finally:
            loop.close()
    assert [pools[0].submit(double, i).result(LIMIT) for i in range(5)] == [0, 2, 4, 6, 8]
    pools[0].shutdown()


def test_to_process() -> None:
    async def main() -> None:
        assert await fenshen.to_process(double, 4) == 8
        assert await fenshen.to_process(int, "12", base=3) == 5
        assert await fenshen.to_process(os.getpid) != os.getpid()

    try:
        asyncio.run(main())
    finally:
        _to_process._pool.pop(os.getpid()).shutdown()


def test_tasks_may_be_given_from_many_threads(pool: futures.ProcessPoolExecutor) -> None:
    results: list[int] = []

    def give(n: int) -> None:
        results.extend(pool.submit(double, n + i).result(LIMIT) for i in range(50))

    threads = [threading.Thread(target=give, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert sorted(results) == sorted(2 * (1000 * n + i) for n in range(4) for i in range(50))


def test_bad_arguments_are_refused() -> None:
    for wrong in (
        {"max_workers": 0},
        {"max_tasks_per_child": 0, "mp_context": mp.get_context("spawn")},
        {"max_pending": 0},
    ):
        with pytest.raises(ValueError, match="max_"):
            futures.ProcessPoolExecutor(**wrong)
    with pytest.raises(ValueError, match="incompatible with"):
        futures.ProcessPoolExecutor(max_tasks_per_child=1, mp_context=mp.get_context("fork"))
    with pytest.raises(TypeError, match="callable"):
        futures.ProcessPoolExecutor(initializer=3)
    pool = futures.ProcessPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(double, 1)


def _use_a_copy(pool: futures.ProcessPoolExecutor, pending: standard.Future, results: list[object]) -> int:
    """What a forked child may do with its parent's pool: nothing that the parent notices."""
    try:
        pool.submit(double, 1)
    except RuntimeError as e:
        assert "forked" in str(e)  # noqa: PT017
    else:
        return 1
    assert pending.cancel()
    results.clear()
    pool.shutdown()
    pool.kill_workers()
    return 0


def test_a_forked_child_leaves_its_parents_pool_alone(pool: futures.ProcessPoolExecutor) -> None:
    large = [pool.submit(bytearray, 1_000_000).result(LIMIT) for _ in range(3)]
    slow = pool.submit(time.sleep, 1)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = _use_a_copy(pool, slow, large)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert slow.result(LIMIT) is None
    assert [f.result(LIMIT) for f in [pool.submit(double, i) for i in range(20)]] == [2 * i for i in range(20)]
    assert all(len(each) == 1_000_000 for each in large)


_TWO_DRIVERS = """
import threading, time
from fenshen import futures

pool = futures.ProcessPoolExecutor(1)
taken = threading.Event()

def ready(_):
    taken.set()
    time.sleep(1)  # without the interpreter, which the other must not keep meanwhile

pool._supervisor.ready = ready
future = pool.submit(abs, -2)
assert taken.wait(60)
pool._engine.listen()
print(future.result(60))
pool.shutdown()
"""


def test_a_loop_may_ask_for_results_while_a_thread_takes_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TWO_DRIVERS], stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True
    )
    assert done.stdout == "2\n"
