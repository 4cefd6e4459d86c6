"""`map_reduce` in worker processes of this machine."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile

from fenshen.flow._mapreduce.mapper import map_lot
from fenshen.flow._mapreduce.packing import as_dict
from fenshen.flow._mapreduce.reducer import reduce_packed
from fenshen.flow._mapreduce.runs import Batches, Runs, Writer
from fenshen.flow._mapreduce.sources import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from typing import Any

    from fenshen.flow._mapreduce.job import Job
    from fenshen.flow._mapreduce.runs import Place, Written
    from fenshen.flow._mapreduce.sources import Lots
    from fenshen.flow.progressing import Wanted

#: How often a lot is done again whose worker died.
RETRIES = 2
#: A worker has one lot to do, and another waits for it.
_AHEAD = 2
#: Bytes of memory that a partition may have whatever the limit: to go through it in many turns costs more than that.
_LEAST = 1 << 20
#: So many times its bytes a partition takes in memory as objects in a dict.
_EXPANSION = 8

_jobs: dict[str, Job] = {}


def _job(path: str) -> Job:
    """The job, as a worker has it from the program, which keeps it in a file that has no name."""
    found = _jobs.get(path)
    if found is None:
        import pickle

        with open(path, "rb") as file:
            found = pickle.load(file)
        _jobs[path] = found
    return found


def _map(path: str, lot: Any, place: Place) -> tuple[Written, float]:
    begun = now()
    writer = Writer(place)
    try:
        map_lot(_job(path), lot, writer.send)
    finally:
        written = writer.close()
    return written, now() - begun


def _reduce(path: str, batches: list[tuple[str, int, int]], turns: int) -> list[bytes]:
    return reduce_packed(_job(path), Batches(batches), turns)


class Local:
    """One `map_reduce`, from its first lot to its result."""

    def __init__(self, job: Job, workers: int, limit: int, progress: Wanted) -> None:
        from multiprocessing import get_context

        from fenshen.futures import ProcessPoolExecutor

        self._limit, self._workers, self._job = limit, workers, job
        self._progress = progress
        self._file = tempfile.TemporaryFile(prefix="fenshen-")  # noqa: SIM115 - closed by close()
        self._runs = Runs(limit // 2)
        try:
            self._file.write(_pickled(job))
            self._file.flush()
            self._path = f"/proc/{os.getpid()}/fd/{self._file.fileno()}"
            self._pool: Any = ProcessPoolExecutor(workers, mp_context=get_context("forkserver"))
        except BaseException:
            self.close()
            raise
        options = getattr(self._pool, "with_options", None)
        self._submit = self._pool.submit if options is None else options(retries=RETRIES).submit

    def run(self, lots: Lots) -> dict[Any, Any]:
        """The result. Raises what the user's functions raise first, and WorkerDied."""
        done = False
        try:
            with told(self._progress, "map", lots.number) as count:
                self._map(lots, count)
            partitions = self._runs.partitions()
            with told(self._progress, "reduce", len(partitions)) as count:
                result = self._reduce(partitions, count)
            done = True
        finally:
            self._end(done)
            self.close()
        return result

    def _map(self, lots: Lots, count: Callable[[], None]) -> None:
        from fenshen.futures import FIRST_COMPLETED, wait

        pending: dict[Future[Any], tuple[int, Any]] = {}
        begun = 0
        most = self._workers * _AHEAD
        while True:
            while len(pending) < most and (lot := lots.next()) is not None:
                place = self._runs.lend(begun, most - len(pending))
                pending[self._submit(_map, self._path, lot, place)] = begun, lot
                begun += 1
            if not pending:
                return
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                number, lot = pending.pop(future)
                written, seconds = future.result()
                lots.took(lot, seconds)
                self._runs.take_back(number, written)
                count()

    def _reduce(self, partitions: list[tuple[int, int]], count: Callable[[], None]) -> dict[Any, Any]:
        from fenshen.futures import as_completed

        share = max(_LEAST, self._job.share)
        futures = []
        for number, size in partitions:
            turns = max(1, -(-size * _EXPANSION // share))
            futures.append(self._submit(_reduce, self._path, self._runs.batches(number), turns))
        result: dict[Any, Any] = {}
        keys = 0
        while futures:
            for future in as_completed(futures):
                for packed in future.result():
                    found = as_dict(packed)
                    keys += len(found)
                    result.update(found)
                futures.remove(future)
                count()
                break
        check_keys(keys, result)
        return result

    def _end(self, done: bool) -> None:
        if not done and hasattr(self._pool, "kill_workers"):
            self._pool.kill_workers()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Give back the memory and the files."""
        self._file.close()
        self._runs.close()


@contextlib.contextmanager
def told(progress: Wanted, step: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Have whoever wants to know be told how far a step has come: what counts one more."""
    from fenshen.flow.progressing import reporter

    counted = reporter(progress, step, total)
    try:
        yield counted.count
    finally:
        counted.close()


def check_keys(keys: int, result: dict[Any, Any]) -> None:
    """See that no key came from two partitions.

    Raises TypeError if one did: it equals a key of another class, by an equality that cannot be told from outside.
    """
    if keys != len(result):
        raise TypeError(
            "two keys of different classes are equal, and neither is a number, text, bytes, or a tuple of these: "
            "give keys of one class"
        )


def _pickled(job: Job) -> bytes:
    from fenshen import _engine

    if _engine.engine() == "native":
        from fenshen import _pickling

        try:
            return _pickling.by_value(job)
        except Exception as exc:
            raise _pickling.explain(exc, job._asdict(), "map_reduce") from None
    import cloudpickle

    pickled: bytes = cloudpickle.dumps(job, 5)
    return pickled


def local(
    job: Job,
    lots: Lots,
    workers: int,
    limit: int,
    progress: Wanted,
) -> dict[Any, Any]:
    """Run a job in processes of this machine."""
    if sys.platform != "linux":
        raise NotImplementedError("map_reduce(engine='local') needs Linux; engine='dask' and 'ray' run elsewhere")
    return Local(job, workers, limit, progress).run(lots)
