"""Pools of other shapes than the standard library's."""

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Any

from .pools import Function, Pool


class Joblib(Pool):
    """It has no `submit`: a call of `Parallel` is given tasks and gives results."""

    def __init__(self, workers: int) -> None:
        import joblib

        self.delayed = joblib.delayed
        self.parallel = joblib.Parallel(workers, batch_size=1, pre_dispatch="all")
        self.chosen = joblib.Parallel(workers)  # its own batches
        self.parallel.__enter__()

    def many(self, function: Function, arguments: Iterable[Any]) -> list[Any]:
        task = self.delayed(function)
        return self.parallel(task(argument) for argument in arguments)

    def one(self, function: Function, argument: Any) -> Any:
        return self.many(function, [argument])[0]

    def map(self, function: Function, items: Sequence[Any], chunk: int | None) -> list[Any]:
        task = self.delayed(function)
        parallel = self.chosen
        parallel.batch_size = "auto" if chunk is None else chunk
        return parallel(task(item) for item in items)

    def close(self) -> None:
        from joblib.externals.loky import get_reusable_executor

        self.parallel.__exit__(None, None, None)
        get_reusable_executor().shutdown()


class Pebble(Pool):
    def __init__(self, workers: int) -> None:
        import pebble

        self.pool = pebble.ProcessPool(max_workers=workers)
        self.pool.active  # noqa: B018 - starts the workers

    def submit(self, function: Function, argument: Any) -> Any:
        return self.pool.submit(function, None, argument)

    def map(self, function: Function, items: Sequence[Any], chunk: int | None) -> list[Any]:
        options = {} if chunk is None else {"chunksize": chunk}
        return list(self.pool.map(function, items, **options).result())

    def close(self) -> None:
        self.pool.close()
        self.pool.join()


class Mpire(Pool):
    fetch = staticmethod(operator.methodcaller("get"))

    def __init__(self, workers: int) -> None:
        import mpire

        self.pool = mpire.WorkerPool(workers, keep_alive=True)

    def submit(self, function: Function, argument: Any) -> Any:
        return self.pool.apply_async(function, (argument,))

    def map(self, function: Function, items: Sequence[Any], chunk: int | None) -> list[Any]:
        return list(self.pool.map(function, items, chunk_size=chunk))

    def close(self) -> None:
        self.pool.stop_and_join()


def of_many(function: Function) -> Function:
    """The function, of many arguments at once."""

    def of_each(items: Sequence[Any]) -> list[Any]:
        return [function(item) for item in items]

    return of_each


class Cluster(Pool):
    """A pool of tasks alone: a map in chunks is what a program makes of them."""

    def __init__(self) -> None:
        self.chunked = functools.cache(of_many)

    def map(self, function: Function, items: Sequence[Any], chunk: int | None) -> list[Any]:
        if chunk is None:
            return self.many(function, items)
        chunks = [items[start : start + chunk] for start in range(0, len(items), chunk)]
        return [each for done in self.many(self.chunked(function), chunks) for each in done]


class Ray(Cluster):
    """A cluster of this machine."""

    def __init__(self, workers: int) -> None:
        import ray

        super().__init__()
        self.ray, self.remote = ray, functools.cache(ray.remote)
        ray.init(
            num_cpus=workers,
            object_store_memory=2 << 30,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )
        self.fetch = ray.get

    def submit(self, function: Function, argument: Any) -> Any:
        return self.remote(function).remote(argument)

    def many(self, function: Function, arguments: Iterable[Any]) -> list[Any]:
        submit = self.submit
        return self.ray.get([submit(function, argument) for argument in arguments])

    def close(self) -> None:
        self.ray.shutdown()


class Dask(Cluster):
    """Its local cluster: a process with one thread for each worker."""

    def __init__(self, workers: int) -> None:
        from distributed import Client, LocalCluster

        super().__init__()
        self.cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=40)
        self.client = Client(self.cluster)

    def submit(self, function: Function, argument: Any) -> Any:
        return self.client.submit(function, argument, pure=False)

    def many(self, function: Function, arguments: Iterable[Any]) -> list[Any]:
        submit = self.submit
        return self.client.gather([submit(function, argument) for argument in arguments])

    def close(self) -> None:
        self.client.close()
        self.cluster.close()
