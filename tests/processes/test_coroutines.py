"""Coroutine functions in worker processes: many at once on a worker's loop, each with its own end."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError
from pathlib import Path
from typing import Any

import fenshen
import pytest
from fenshen import _process_tasks, _to_process
from fenshen._process_tasks import Crew, awaited, submit
from fenshen.futures import ProcessPoolExecutor, WorkerDied, wait
from fenshen.multiprocessing import get_context

from tests.processes import coroutines

LIMIT = 60


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2) as made:
        yield made


@pytest.fixture(params=["fork", "spawn", "forkserver"])
def alone(request: pytest.FixtureRequest) -> Iterator[Crew]:
    """One worker, by each start method."""
    crew = Crew(get_context(request.param), 1)
    yield crew
    crew.shutdown()


@pytest.fixture
def single() -> Iterator[Crew]:
    """One worker."""
    crew = Crew(get_context("fork"), 1)
    yield crew
    crew.shutdown()


@pytest.fixture
def own() -> Iterator[None]:
    """The program's own crew, ended afterwards."""
    yield
    crew = _process_tasks._own.pop(os.getpid(), None)
    if crew is not None:
        crew.shutdown()
    pool = _to_process._pool.pop(os.getpid(), None)
    if pool is not None:
        pool.shutdown()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.01)


def run(main: Any, factory: Any = None) -> Any:
    return fenshen.run(asyncio.wait_for(main, LIMIT), loop_factory=factory)


def test_every_start_method(alone: Crew) -> None:
    futures = [alone.submit(coroutines.double, (n,), {}) for n in range(50)]
    assert [future.result(LIMIT) for future in futures] == list(range(0, 100, 2))
    assert alone.submit(coroutines.pid, (), {}).result(LIMIT) not in (os.getpid(), 0)


def test_many_run_at_once_in_a_worker(single: Crew) -> None:
    parties = 3000
    futures = [single.submit(coroutines.met, (parties,), {}) for _ in range(parties)]
    assert {future.result(LIMIT) for future in futures} == {parties}


def test_no_more_run_at_once_than_the_limit(tmp_path: Path) -> None:
    crew = Crew(get_context("fork"), 1, limit=2)
    try:
        paths = [tmp_path / str(n) for n in range(3)]
        futures = [crew.submit(coroutines.wait_at, (str(path),), {}) for path in paths]
        until(lambda: paths[0].exists() and paths[1].exists())
        assert crew.submit(coroutines.double, (1,), {}).cancel(), "it waits in the program"
        assert not paths[2].exists()
        futures[1].cancel()
        until(paths[2].exists)
        for future in futures:
            future.cancel()
        assert wait(futures, LIMIT).not_done == set()
    finally:
        crew.shutdown()


def test_more_than_a_ring_holds_while_none_ends(single: Crew) -> None:
    parties = 600
    data = b"x" * 2000
    futures = [single.submit(coroutines.large, (data,), {}) for _ in range(parties)]
    assert all(future.result(LIMIT) == data for future in futures)
    futures = [single.submit(coroutines.met, (parties,), {}) for _ in range(parties)]
    assert all(future.result(LIMIT) >= parties for future in futures)


def test_large_arguments_and_results(single: Crew) -> None:
    data = os.urandom(3_000_000)
    futures = [single.submit(coroutines.large, (data,), {}) for _ in range(5)]
    assert all(future.result(LIMIT) == data for future in futures)


def test_the_load_is_spread(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    paths = [tmp_path / str(n) for n in range(20)]
    futures = [submit(pool, coroutines.wait_at, (str(path),)) for path in paths]
    until(lambda: all(path.exists() and path.read_text() for path in paths))
    pids = [path.read_text() for path in paths]
    assert sorted(map(pids.count, set(pids))) == [10, 10]
    for future in futures:
        future.cancel()
    assert wait(futures, LIMIT).not_done == set()


def test_an_error_with_its_traceback(single: Crew) -> None:
    with pytest.raises(ZeroDivisionError, match="words") as caught:
        single.submit(coroutines.fail, ("words",), {}).result(LIMIT)
    assert "in _inner" in str(caught.value.__cause__)
    assert single.submit(coroutines.double, (2,), {}).result(LIMIT) == 4


def test_what_cannot_be_sent_fails_by_itself(single: Crew) -> None:
    with pytest.raises(TypeError, match="pickle"):
        single.submit(coroutines.unpicklable, (), {}).result(LIMIT)
    with pytest.raises(TypeError, match="pickle"):
        single.submit(coroutines.large, (threading.Lock(),), {}).result(LIMIT)
    assert single.submit(coroutines.double, (2,), {}).result(LIMIT) == 4


def test_a_closure_goes_by_value(single: Crew) -> None:
    n = 20

    async def closure(m: int) -> int:
        return n + m

    assert single.submit(closure, (1,), {}).result(LIMIT) == 21


def test_what_makes_no_coroutine(single: Crew) -> None:
    with pytest.raises(TypeError, match="a coroutine was expected"):
        single.submit(coroutines.no_coroutine, (), {}).result(LIMIT)


def test_cancel_runs_the_clean_up_first(single: Crew, tmp_path: Path) -> None:
    path = tmp_path / "note"
    future = single.submit(coroutines.note_end, (str(path), 0.1), {})
    until(path.exists)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result(LIMIT)
    assert future.cancelled()
    assert path.read_text() == "ended"


def test_cancel_that_is_swallowed_counts_as_its_result(single: Crew, tmp_path: Path) -> None:
    path = tmp_path / "note"
    future = single.submit(coroutines.swallow, (str(path),), {})
    until(path.exists)
    assert future.cancel()
    assert future.result(LIMIT) == "swallowed"
    assert not future.cancelled()


def test_cancel_that_ends_in_an_error(single: Crew, tmp_path: Path) -> None:
    path = tmp_path / "note"
    future = single.submit(coroutines.fail_when_cancelled, (str(path),), {})
    until(path.exists)
    future.cancel()
    with pytest.raises(LookupError, match="at the end"):
        future.result(LIMIT)


def test_cancel_at_once(single: Crew) -> None:
    for _ in range(50):
        futures = [single.submit(coroutines.pid_after, (30.0,), {}) for _ in range(20)]
        for future in futures:
            assert future.cancel()
        assert wait(futures, LIMIT).not_done == set()
        assert all(future.cancelled() for future in futures)


def test_one_that_returned_before_it_could_be_cancelled_is_cancelled(single: Crew) -> None:
    """What was promised to be cancelled does not go on with its result."""
    assert single.submit(coroutines.double, (1,), {}).result(LIMIT) == 2
    for _ in range(200):
        future = single.submit(coroutines.pid, (), {})
        time.sleep(0.0002)
        promised = not future.done() and future.cancel()
        assert wait([future], LIMIT).done
        assert future.cancelled() >= promised


def test_one_that_ends_as_if_cancelled(single: Crew) -> None:
    future = single.submit(coroutines.cancel_itself, (), {})
    with pytest.raises(CancelledError):
        future.result(LIMIT)


def test_timeout(single: Crew, tmp_path: Path) -> None:
    path = tmp_path / "note"
    with pytest.raises(TimeoutError if hasattr(asyncio, "timeout") else asyncio.TimeoutError):
        single.submit(coroutines.note_end, (str(path),), {}, 0.2).result(LIMIT)
    assert path.read_text() == "ended"
    assert single.submit(coroutines.double, (3,), {}, LIMIT).result(LIMIT) == 6


def test_context_variables_travel(single: Crew) -> None:
    single.submit(coroutines.double, (1,), {}).result(LIMIT)  # what is set from now on is not inherited
    coroutines.who.set("somebody")
    odd = coroutines.odd.set(threading.Lock())
    local: Any = __import__("contextvars").ContextVar("local")
    local.set(1)
    try:
        assert single.submit(coroutines.variables, (), {}).result(LIMIT) == ("somebody", None)
        assert single.submit(coroutines.variables, (), {}, LIMIT).result(LIMIT) == ("somebody", None)
    finally:
        coroutines.who.set("nobody")
        coroutines.odd.reset(odd)


def test_a_death_takes_along_its_own(tmp_path: Path) -> None:
    crew = Crew(get_context("fork"), 2)
    try:
        paths = [str(tmp_path / str(n)) for n in range(4)]
        futures = [crew.submit(coroutines.wait_at, (path,), {}) for path in paths]
        until(lambda: all(Path(path).exists() and Path(path).read_text() for path in paths))
        pids = [int(Path(path).read_text()) for path in paths]
        assert sorted(map(pids.count, set(pids))) == [2, 2]
        os.kill(pids[0], signal.SIGKILL)
        lost = [future for future, pid in zip(futures, pids, strict=True) if pid == pids[0]]
        kept = [future for future in futures if future not in lost]
        for future in lost:
            with pytest.raises(WorkerDied, match="SIGKILL"):
                future.result(LIMIT)
        assert not any(future.done() for future in kept)
        again = [crew.submit(coroutines.pid_after, (0.1,), {}) for _ in range(4)]
        found = {future.result(LIMIT) for future in again}
        assert len(found) == 2, "another has taken its place"
        assert pids[0] not in found
        for future in kept:
            future.cancel()
        assert wait(kept, LIMIT).not_done == set()
    finally:
        crew.shutdown()


def test_one_that_kills_its_worker(single: Crew, tmp_path: Path) -> None:
    note = tmp_path / "note"
    other = single.submit(coroutines.wait_at, (str(note),), {})
    with pytest.raises(WorkerDied):
        single.submit(coroutines.die, (str(note),), {}).result(LIMIT)
    with pytest.raises(WorkerDied):
        other.result(LIMIT)
    assert single.submit(coroutines.double, (4,), {}).result(LIMIT) == 8


def test_system_exit_is_one_coroutines_own(single: Crew, tmp_path: Path) -> None:
    note = tmp_path / "note"
    other = single.submit(coroutines.swallow, (str(note),), {})
    with pytest.raises(SystemExit):
        single.submit(coroutines.leave, (), {}).result(LIMIT)
    until(note.exists)
    other.cancel()
    assert other.result(LIMIT) == "swallowed"


def test_log_records(caplog: pytest.LogCaptureFixture) -> None:
    with ProcessPoolExecutor(1, logging=True) as pool, caplog.at_level(logging.WARNING):
        submit(pool, coroutines.log, ("from afar",)).result(LIMIT)
    assert "from afar" in caplog.messages


def test_the_pool_ends_its_coroutines_workers() -> None:
    pool = ProcessPoolExecutor(1)
    pid = submit(pool, coroutines.pid).result(LIMIT)
    future = submit(pool, coroutines.pid_after, (0.2,))
    pool.shutdown()
    assert future.result(0) == pid, "what was there has ended in order"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(RuntimeError, match="after shutdown"):
        submit(pool, coroutines.pid)


def test_kill_workers(tmp_path: Path) -> None:
    pool = ProcessPoolExecutor(1)
    path = tmp_path / "note"
    future = submit(pool, coroutines.wait_at, (str(path),))
    until(path.exists)
    pool.kill_workers()
    with pytest.raises(WorkerDied, match="SIGKILL"):
        future.result(LIMIT)
    pool.shutdown()


def test_as_futures(pool: ProcessPoolExecutor) -> None:
    slow = submit(pool, coroutines.pid_after, (LIMIT,))
    fast = submit(pool, coroutines.double, (1,))
    done, _ = wait([slow, fast], LIMIT, FIRST_COMPLETED)
    assert done == {fast}
    slow.cancel()
    assert wait([slow], LIMIT).done == {slow}


# -- Awaited ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", [None, asyncio.new_event_loop])
def test_to_process(own: None, factory: Any) -> None:
    async def main() -> None:
        assert await fenshen.to_process(coroutines.double, 4) == 8
        assert await fenshen.to_process(coroutines.double, n=5) == 10
        assert await fenshen.to_process(functools.partial(coroutines.double, 6)) == 12
        pids = await asyncio.gather(*(fenshen.to_process(coroutines.pid) for _ in range(100)))
        assert os.getpid() not in pids
        with pytest.raises(ZeroDivisionError):
            await fenshen.to_process(coroutines.fail, "x")

    run(main(), factory)


@pytest.mark.parametrize("factory", [None, asyncio.new_event_loop])
def test_a_cancelled_task_waits_for_the_clean_up(own: None, tmp_path: Path, factory: Any) -> None:
    async def main() -> None:
        path = tmp_path / "note"
        task = asyncio.ensure_future(fenshen.to_process(coroutines.note_end, str(path), 0.1))
        while not path.exists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert path.read_text() == "ended"

    run(main(), factory)


def test_a_cancelled_task_gets_what_swallowed_it(own: None, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "note"
        task = asyncio.ensure_future(fenshen.to_process(coroutines.swallow, str(path)))
        while not path.exists():
            await asyncio.sleep(0.01)
        task.cancel()
        assert await task == "swallowed"

    run(main())


def test_a_deadline_ends_it(own: None, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "note"
        await fenshen.to_process(coroutines.double, 1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(fenshen.to_process(coroutines.note_end, str(path)), 0.5)
        assert not path.exists() or path.read_text() == "ended", "it begins late on a busy machine"

    run(main())


def test_awaited_from_several_loops(single: Crew) -> None:
    def one(found: list[int]) -> None:
        async def main() -> list[int]:
            calls = (awaited(single.submit(coroutines.double, (n,), {}), single) for n in range(200))
            return list(await asyncio.gather(*calls))

        found.extend(run(main()))

    single.submit(coroutines.double, (1,), {}).result(LIMIT)  # before there are threads
    results: list[list[int]] = [[], [], []]
    threads = [threading.Thread(target=one, args=(found,)) for found in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert results == [list(range(0, 400, 2))] * 3


def test_a_loop_that_closes_leaves_the_others_theirs(single: Crew) -> None:
    async def main() -> None:
        await awaited(single.submit(coroutines.double, (1,), {}), single)

    future = single.submit(coroutines.pid_after, (0.3,), {})
    run(main())
    assert future.result(LIMIT)


def test_a_loop_that_has_ended_holds_up_nobody(own: None) -> None:
    """Far less than the second that the pool's thread would sleep."""

    async def main() -> None:
        for function in (coroutines.double, abs):
            await fenshen.to_process(function, 1)

    run(main())
    best = 60.0
    for _ in range(10):
        began = time.monotonic()
        run(main())
        assert _process_tasks.own_crew().submit(coroutines.double, (1,), {}).result(LIMIT) == 2
        best = min(best, time.monotonic() - began)
    assert best < 0.5
