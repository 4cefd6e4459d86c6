"""`map_reduce`: a map, a shuffle and a reduce over more than fits into memory, in processes or on a cluster.

The algorithm is that of Dean and Ghemawat (MapReduce, OSDI 2004), with their combiner and their partition by a hash.
"""

from __future__ import annotations

from fenshen.flow._mapreduce.job import Job
from fenshen.flow._mapreduce.sources import PIECE, Files, Shards, lots_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from fenshen.flow.progressing import Wanted

__all__ = ["files", "map_reduce", "shards"]

_ENGINES = ("local", "ray", "dask")
#: Partitions: enough that the reduce step evens out, few enough that each has something of every lot.
_PARTITIONS = 32


def map_reduce(
    items: Iterable[Any] | Files | Shards,
    map: Callable[[Any], Any],
    reduce: Any,
    combine: Any = None,
    key: Callable[[Any], Any] | None = None,
    workers: int | None = None,
    memory_limit: int | None = None,
    engine: str = "local",
    progress: Wanted = None,
) -> dict[Any, Any]:
    """Map every item, group what comes of it by key, and reduce each key's values: a dict of keys and new values.

    `map(item)` gives an iterable of (key, value) pairs, or a mapping, which stands for its pairs. With `key`, it gives
    an iterable of plain values, and `key(value)` names each one's key. `reduce(key, values)` gets a list of all of a
    key's values, in the order of the input, and returns the new one; `combine(key, values)` does that in the workers to
    some of them at a time, before they are sent on, and may be called any number of times. Instead of either, the
    functions `sum`, `min`, `max`, `operator.add`, `mul`, `or_` and `and_` stand for themselves over the values, and as
    `reduce` without `combine` also `len`: values are folded as they come, and not kept.

    `items` is any iterable, read no further than workers can follow; or `files()` or `shards()`, which the workers read
    themselves. `workers` is how many processes there are, by default one for each CPU that this process may use.
    `memory_limit` is in bytes, for all of them together: what is grouped, and what waits to be reduced; what is more
    waits on disk. By default it is half of what is free. The result, and all values of one key, must fit into memory
    besides. `engine` is "local", "ray" or "dask": a running cluster, as `futures.ClusterExecutor` finds it, or one of
    this machine. `progress` is True, or a function that is called with a `Progress` in this thread, as for a
    pipeline: for the step "map", in lots of items, then for "reduce", in partitions of keys.

    Keys can be whatever can be hashed and pickled; those that are equal are one, as in a dict. A worker that dies has
    its lot done again, twice at most.

    Raises what a function raises first, noting the item; `futures.WorkerDied`; ValueError for an unknown engine or
    number; ImportError, naming the extra, where an engine is not installed; what pickling raises.
    """
    if engine not in _ENGINES:
        raise ValueError(f"engine must be one of {', '.join(_ENGINES)}, not {engine!r}")
    if workers is not None and workers < 1:
        raise ValueError("workers must be at least 1")
    if memory_limit is not None and memory_limit < 1:
        raise ValueError("memory_limit must be at least 1 byte")
    for name, function in (("map", map), ("reduce", reduce), ("combine", combine), ("key", key)):
        if not callable(function) and (function is not None or name in ("map", "reduce")):
            raise TypeError(f"{name} must be callable, not {type(function).__name__}")
    if combine is len:
        raise ValueError("combine=len would count counts: reduce=len alone counts values")
    if engine == "local":
        from fenshen.flow._mapreduce.local import local

        workers = workers or _cpus()
        limit = memory_limit or _free_memory() // 2
        job = Job(map, reduce, combine, key, _PARTITIONS, limit // (2 * workers))
        return local(job, lots_of(items, workers), workers, limit, progress)
    from fenshen.flow._mapreduce.cluster import on_cluster

    return on_cluster(engine, items, Job(map, reduce, combine, key, 0, 0), workers, memory_limit, progress)


def files(
    pattern: Any,
    *more: Any,
    root: Any = None,
    split: int | None = PIECE,
    lines: bool = False,
    encoding: str | None = "utf-8",
    errors: str = "strict",
) -> Files:
    """Files as items of `map_reduce`, by patterns of `glob` (`**` for all folders below), relative to `root`.

    The workers read them. Each item is the text of a piece of a file, about `split` bytes that begin and end with a
    line; of a whole file if `split` is None; or with `lines` a line without its end. With `encoding=None` it is bytes.

    Raises ValueError if `split` is below 1, or the encoding's lines do not end with a byte of their own. `map_reduce`
    raises FileNotFoundError for a name that has no wildcard in it and is not there.
    """
    return Files((pattern, *more), root, split, lines, encoding, errors)


def shards(found: Iterable[Any]) -> Shards:
    """Shards as items of `map_reduce`: each is an iterable that can be pickled, or a function that returns one.

    A worker goes through each shard, and `map` gets what it yields. If the worker dies, the shard is begun again.
    """
    return Shards(found)


def _cpus() -> int:
    from fenshen import _engine

    if _engine.engine() == "native":
        from fenshen._process_executor import usable_cpus

        return usable_cpus()
    import os

    return os.cpu_count() or 1


def _free_memory() -> int:
    """Bytes that this process may still take: the machine's, or its cgroup's."""
    free = 1 << 30
    try:
        with open("/proc/meminfo") as file:
            for row in file:
                if row.startswith("MemAvailable:"):
                    free = int(row.split()[1]) << 10
        with open("/sys/fs/cgroup/memory.max") as most, open("/sys/fs/cgroup/memory.current") as used:
            free = min(free, max(1 << 26, int(most.read()) - int(used.read())))
    except (OSError, ValueError):
        pass
    return free
