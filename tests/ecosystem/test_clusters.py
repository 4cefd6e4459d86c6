"""`ClusterExecutor` and `map_reduce` on real clusters of this machine, Ray's and Dask's: one of each for all tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
from fenshen.flow import files, map_reduce, shards
from fenshen.futures import ClusterExecutor, WorkerDied

OPTIONS: dict[str, dict[str, Any]] = {
    "ray": {"num_cpus": 2, "object_store_memory": 100 << 20},
    "dask": {"n_workers": 2},
}
ENGINES = [pytest.param(name, marks=pytest.mark.needs(name)) for name in OPTIONS]
PATIENCE = 240.0


class Cluster:
    """An executor that has started a cluster, and where others find it."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        if engine == "dask":
            import dask

            # A task that kills its workers is given up after the second: each takes seconds to be started.
            dask.config.set({"distributed.scheduler.allowed-failures": 1})
        self.executor = ClusterExecutor(engine, **OPTIONS[engine])

    def address(self) -> str:
        if self.engine == "ray":
            import ray

            return str(ray.get_runtime_context().gcs_address)
        return str(self.executor._sender._cluster.client.scheduler.address)


@pytest.fixture(scope="module", params=ENGINES)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    os.environ.pop("RAY_ADDRESS", None)
    os.environ.pop("DASK_SCHEDULER_ADDRESS", None)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    made = Cluster(request.param)
    yield made
    made.executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        made.executor.submit(int)


@pytest.fixture
def pool(cluster: Cluster) -> ClusterExecutor:
    return cluster.executor


@pytest.fixture
def joined(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """The engine, whose cluster can be joined."""
    name = {"ray": "RAY_ADDRESS", "dask": "DASK_SCHEDULER_ADDRESS"}[cluster.engine]
    monkeypatch.setenv(name, cluster.address())
    return cluster.engine


def test_what_a_call_returns(pool: ClusterExecutor) -> None:
    k = 10
    found = [pool.submit(lambda x, *, y: x * k + y, n, y=1) for n in range(5)]
    assert all(type(future) is futures.Future for future in found)
    assert [future.result(PATIENCE) for future in found] == [1, 11, 21, 31, 41]
    assert {future.result() for future in futures.as_completed(found, PATIENCE)} == {1, 11, 21, 31, 41}
    assert futures.wait(found, PATIENCE).not_done == set()


def test_a_call_is_made_elsewhere(pool: ClusterExecutor) -> None:
    assert pool.submit(os.getpid).result(PATIENCE) != os.getpid()


def test_map(pool: ClusterExecutor) -> None:
    assert list(pool.map(pow, range(20), [2] * 20)) == [n * n for n in range(20)]
    assert list(pool.map(pow, range(20), [2] * 20, chunksize=7)) == [n * n for n in range(20)]
    assert list(pool.map(lambda: 1)) == []
    with pytest.raises(ValueError, match="chunksize"):
        pool.map(pow, [1], [1], chunksize=0)
    with pytest.raises(ZeroDivisionError):
        list(pool.map(divmod, [1], [0], chunksize=2))
    with pytest.raises(futures.TimeoutError):
        list(pool.map(time.sleep, [1], timeout=0.01))


def test_an_exception_has_its_own_type_and_its_traceback(pool: ClusterExecutor) -> None:
    class Refused(LookupError):
        pass

    def refuse(what: str) -> None:
        raise Refused(what)

    exc = pool.submit(refuse, "this").exception(PATIENCE)
    assert type(exc).__name__ == "Refused"
    assert isinstance(exc, LookupError)
    assert exc.args == ("this",)
    assert "in refuse" in str(exc.__cause__)


def test_what_cannot_be_pickled_fails_its_future(pool: ClusterExecutor) -> None:
    lock = threading.Lock()
    assert isinstance(pool.submit(id, lock).exception(PATIENCE), TypeError)
    assert isinstance(pool.submit(lambda: (n for n in "a")).exception(PATIENCE), TypeError)
    assert pool.submit(int, "7").result(PATIENCE) == 7


def test_what_waits_can_be_cancelled(pool: ClusterExecutor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def wait() -> int:
        late = time.monotonic() + PATIENCE
        while not gate.exists() and time.monotonic() < late:
            time.sleep(0.01)
        return 1

    found = [pool.submit(wait) for _ in range(8)]
    try:
        assert found[0].running()
        assert not found[0].cancel()
        assert found[-1].cancel()
        assert found[-1].cancelled()
    finally:
        gate.touch()
    assert [future.result(PATIENCE) for future in found[:-1]] == [1] * 7


def test_on_a_loop(pool: ClusterExecutor) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        one = asyncio.wrap_future(pool.submit(abs, -1))
        return await asyncio.wait_for(asyncio.gather(one, loop.run_in_executor(pool, abs, -2)), PATIENCE)

    assert asyncio.run(main()) == [1, 2]


def test_callbacks_run_and_may_submit(pool: ClusterExecutor) -> None:
    second: futures.Future[futures.Future[int]] = futures.Future()
    pool.submit(abs, -3).add_done_callback(lambda first: second.set_result(pool.submit(abs, -first.result() - 1)))
    assert second.result(PATIENCE).result(PATIENCE) == 4


def dies_once(marker: Path) -> Callable[[], str]:
    def task() -> str:
        with contextlib.suppress(FileExistsError):
            marker.touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    return task


def test_what_is_lost_is_done_again(pool: ClusterExecutor, tmp_path: Path) -> None:
    assert pool.submit(dies_once(tmp_path / "once")).result(PATIENCE) == "done"
    assert (tmp_path / "once").exists()


def test_what_kills_every_worker(pool: ClusterExecutor) -> None:
    exc = pool.submit(os._exit, 3).exception(PATIENCE)
    assert isinstance(exc, WorkerDied)
    assert isinstance(exc, futures.BrokenExecutor)
    assert pool.submit(abs, -1).result(PATIENCE) == 1


def test_another_executor_joins_and_leaves(pool: ClusterExecutor, cluster: Cluster, joined: str) -> None:
    address = None if joined == "ray" else cluster.address()
    with ClusterExecutor(joined, address) as second:
        assert second.submit(abs, -1).result(PATIENCE) == 1
        waiting = [second.submit(time.sleep, 0.2) for _ in range(9)]
        second.shutdown(wait=False, cancel_futures=True)
    assert waiting[-1].cancelled()
    assert not any(future.exception() for future in waiting if not future.cancelled())
    assert pool.submit(abs, -1).result(PATIENCE) == 1


def test_map_reduce_gives_the_same(joined: str, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(f"one two {number} é\n" * 500)
    expected = Counter({"one": 1500, "two": 1500, "é": 1500, "0": 500, "1": 500, "2": 500})
    source = files("*.txt", root=tmp_path, split=1000)
    assert map_reduce(source, str.split, len, key=str, engine=joined) == expected
    assert map_reduce(source, lambda text: Counter(text.split()), sum, engine=joined, memory_limit=1) == expected
    keys = [1, 1.0, True, "a", (1, "b"), None, frozenset({2})]
    got = map_reduce(shards([keys, keys]), lambda key: [(key, [key])], lambda _, values: len(values), engine=joined)
    assert got == {1: 6, "a": 2, (1, "b"): 2, None: 2, frozenset({2}): 2}
    assert map_reduce([], lambda n: [(n, n)], sum, engine=joined) == {}


def test_map_reduce_raises_what_a_function_raises(joined: str) -> None:
    for failing in ({"map": lambda n: [(0, 1 / (n - 5))]}, {"map": lambda n: [(0, n)], "reduce": lambda k, _: 1 / k}):
        with pytest.raises(ZeroDivisionError, match="division by zero") as caught:
            map_reduce(**{"items": range(10), "reduce": sum, "engine": joined, **failing})
        assert "Traceback" in str(caught.value.__cause__)


def test_map_reduce_does_a_lost_nodes_work_again(joined: str, tmp_path: Path) -> None:
    dies = dies_once(tmp_path / "once")

    def mapped(n: int) -> list[tuple[int, int]]:
        if n == 7:
            dies()
        return [(n % 3, 1)]

    assert map_reduce(range(30), mapped, sum, engine=joined) == {0: 10, 1: 10, 2: 10}
    assert (tmp_path / "once").exists()
