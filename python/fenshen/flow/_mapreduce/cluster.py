"""`map_reduce` on a cluster, whose engine keeps what is sent on, moves it, and does again what is lost with a node."""

from __future__ import annotations

import os

from fenshen._cluster_call import call, with_trace
from fenshen.flow._mapreduce.local import check_keys, told
from fenshen.flow._mapreduce.mapper import map_lot
from fenshen.flow._mapreduce.packing import as_dict
from fenshen.flow._mapreduce.reducer import reduce_packed
from fenshen.flow._mapreduce.sources import lots_of, now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fenshen.flow._mapreduce.job import Job

#: A worker has one lot to do, and another waits for it.
_AHEAD = 2
#: Each partition of each lot is an object of the engine's: many more would cost more than they even out.
_PARTITIONS_A_WORKER = 2
#: Bytes that the groups of one worker may weigh, where nothing else is said.
_SHARE = 256 << 20


def map_parts(job: Job, lot: Any) -> list[Any]:
    """What a lot comes to: for each partition what is sent on; then the outcome, with the seconds that it took.

    What the functions raise is a value too: an engine would tell of each part that it failed.
    """
    parts: list[Any] = [[] for _ in range(job.partitions)]
    return [*parts, call(_map_into, (parts, job, lot), {})]


def _map_into(parts: list[list[bytes]], job: Job, lot: Any) -> float:
    begun = now()
    map_lot(job, lot, lambda number, packed: parts[number].append(packed))
    return now() - begun


def reduce_parts(job: Job, *parts: list[bytes]) -> tuple[bool, Any, str | None]:
    """The outcome of reducing what all lots have sent of a partition."""
    return call(_reduced, (job, parts), {})


def _reduced(job: Job, parts: tuple[list[bytes], ...]) -> bytes:
    return reduce_packed(job, [packed for part in parts for packed in part], 1)[0]


class _Ray:
    """The steps as tasks of Ray's."""

    def __init__(self, cluster: Any, job: Job) -> None:
        self._cluster, ray = cluster, cluster.ray
        self._ray, self._job = ray, ray.put(job)
        self._map = ray.remote(num_returns=job.partitions + 1)(map_parts)
        self._reduce = ray.remote(reduce_parts)

    def map(self, lot: Any) -> list[Any]:
        references: list[Any] = self._map.remote(self._job, lot)
        return references

    def reduce(self, parts: list[Any]) -> Any:
        return self._reduce.remote(self._job, *parts)

    def first(self, pending: list[Any]) -> Any:
        return self._ray.wait(pending, num_returns=1)[0][0]

    def result(self, reference: Any) -> Any:
        return self._ray.get(reference)

    def cancel(self, pending: list[Any]) -> None:
        for reference in pending:
            self._ray.cancel(reference)


class _Dask:
    """The steps as tasks of Dask's."""

    def __init__(self, cluster: Any, job: Job) -> None:
        import cloudpickle

        self._client, self._distributed = cluster.client, cluster.distributed
        self._partitions = job.partitions
        # As bytes: what is scattered is not made again when the worker that has it is lost.
        self._job = cloudpickle.dumps(job, 5)

    def map(self, lot: Any) -> list[Any]:
        mapped = self._client.submit(_loaded, map_parts, self._job, lot, pure=False)
        return [self._client.submit(_part, mapped, number, pure=False) for number in range(self._partitions + 1)]

    def reduce(self, parts: list[Any]) -> Any:
        return self._client.submit(_loaded, reduce_parts, self._job, *parts, pure=False)

    def first(self, pending: list[Any]) -> Any:
        with self._client.as_current():
            return next(iter(self._distributed.wait(pending, return_when="FIRST_COMPLETED").done))

    def result(self, future: Any) -> Any:
        return future.result()

    def cancel(self, pending: list[Any]) -> None:
        self._client.cancel(pending)


def _loaded(function: Callable[..., Any], job: bytes, *args: Any) -> Any:
    import cloudpickle

    return function(cloudpickle.loads(job), *args)


def _part(parts: list[Any], number: int) -> Any:
    return parts[number]


class _Run:
    """One `map_reduce`, from its first lot to its result."""

    def __init__(self, cluster: Any, steps: Any, job: Job, progress: Any) -> None:
        self._cluster, self._steps, self._job = cluster, steps, job
        self._progress = progress
        self._pending: dict[Any, Any] = {}

    def run(self, lots: Any, most: int) -> dict[Any, Any]:
        try:
            with told(self._progress, "map", lots.number) as count:
                mapped = self._map(lots, most, count)
            with told(self._progress, "reduce", self._job.partitions) as count:
                return self._reduce(mapped, count)
        except BaseException:
            self._steps.cancel(list(self._pending))
            raise

    def _map(self, lots: Any, most: int, count: Callable[[], None]) -> list[list[Any]]:
        """Each lot's parts, in the order of the lots."""
        mapped: list[list[Any]] = []
        while True:
            while len(self._pending) < most and (lot := lots.next()) is not None:
                *parts, seconds = self._steps.map(lot)
                self._pending[seconds] = lot
                mapped.append(parts)
            if not self._pending:
                return mapped
            lot, seconds = self._next()
            lots.took(lot, seconds)
            count()

    def _reduce(self, mapped: list[list[Any]], count: Callable[[], None]) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        keys = 0
        if not mapped:
            return result
        for number in range(self._job.partitions):
            self._pending[self._steps.reduce([parts[number] for parts in mapped])] = None
        while self._pending:
            _, packed = self._next()
            found = as_dict(packed)
            keys += len(found)
            result.update(found)
            count()
        check_keys(keys, result)
        return result

    def _next(self) -> tuple[Any, Any]:
        """What was begun and has ended first, and its result. Raises what a user's function raised there."""
        ended = self._steps.first(list(self._pending))
        begun = self._pending.pop(ended)
        try:
            well, value, trace = self._steps.result(ended)
        except Exception as exc:
            well, (value, trace) = False, self._cluster.explained(exc)
        if not well:
            raise with_trace(value, trace)
        return begun, value


def on_cluster(
    engine: str, items: Any, job: Job, workers: int | None, memory_limit: int | None, progress: Any
) -> dict[Any, Any]:
    """Run a job on a cluster that runs, or on one of this machine with so many workers."""
    from fenshen._cluster_executor import connect

    count = "num_cpus" if engine == "ray" else "n_workers"
    cluster = connect(engine, None, {count: workers} if workers and not _address(engine) else {})
    try:
        workers = workers or cluster.capacity()
        share = _SHARE if memory_limit is None else memory_limit // (2 * workers)
        job = job._replace(partitions=_PARTITIONS_A_WORKER * workers, share=max(1, share))
        steps = _Ray(cluster, job) if engine == "ray" else _Dask(cluster, job)
        return _Run(cluster, steps, job, progress).run(lots_of(items, workers), workers * _AHEAD)
    finally:
        cluster.close()


def _address(engine: str) -> str | None:
    return os.environ.get("RAY_ADDRESS" if engine == "ray" else "DASK_SCHEDULER_ADDRESS")
