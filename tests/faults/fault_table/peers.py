"""The pools that the rows are done to, each behind the same few words."""

from __future__ import annotations

import importlib.util
import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any, NamedTuple

SECONDS = 8.0  # what a task gets before we say that it hangs: far more than any of them needs


class Lacks(Exception):
    """The peer has nothing that this row could be done to."""


class Outcome(NamedTuple):
    """What became of a task: "done" with its result, "failed" with its exception, or "hangs"."""

    kind: str
    value: Any = None


class Pool:
    """A pool of two workers. `native` is the peer's own object."""

    method: str | None = None
    cancels = True
    native: Any

    def __init__(self, workers: int = 2, initializer: Callable[..., None] | None = None, initargs: tuple = ()) -> None:
        self.native = self.made(workers, initializer, initargs)

    def made(self, workers: int, initializer: Callable[..., None] | None, initargs: tuple) -> Any:
        raise NotImplementedError

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.native.submit(function, *args)

    def submit_limited(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        raise Lacks("a limit for a task")

    def submit_retried(self, function: Callable[..., Any], *args: Any) -> Any:
        raise Lacks("retries")

    def cancel(self, handle: Any) -> bool:
        return handle.cancel()

    def outcome(self, handle: Any, until: float) -> Outcome:
        """What became of a task by then, on the clock of `time.monotonic`."""
        try:
            error = handle.exception(max(0, until - time.monotonic()))
        except futures.CancelledError as cancelled:
            return Outcome("failed", cancelled)
        except futures.TimeoutError:
            if not handle.done():
                return Outcome("hangs")
            error = handle.exception(0)
        return Outcome("failed", error) if error is not None else Outcome("done", handle.result(0))

    def pids(self) -> list[int]:
        return list(self.native._processes or ())

    def close(self) -> None:
        self.native.shutdown(wait=True)

    @classmethod
    def context(cls) -> Any:
        return multiprocessing.get_context(cls.method)

    @classmethod
    def lock(cls) -> Any:
        return cls.context().Lock()

    @classmethod
    def queue(cls) -> Any:
        return cls.context().Queue()


class Fenshen(Pool):
    method = "fork"

    def made(self, workers: int, initializer: Callable[..., None] | None, initargs: tuple) -> Any:
        from fenshen.futures import ProcessPoolExecutor

        return ProcessPoolExecutor(workers, mp_context=self.context(), initializer=initializer, initargs=initargs)

    def submit_limited(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        return self.native.with_options(timeout=seconds).submit(function, *args)

    def submit_retried(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.native.with_options(retries=100).submit(function, *args)

    @classmethod
    def context(cls) -> Any:
        from fenshen import multiprocessing as ours

        return ours.get_context(cls.method)


class FenshenForkServer(Fenshen):
    method = "forkserver"


class FenshenSpawn(Fenshen):
    method = "spawn"


class Executor(Pool):
    method = "fork"

    def made(self, workers: int, initializer: Callable[..., None] | None, initargs: tuple) -> Any:
        return futures.ProcessPoolExecutor(
            workers, mp_context=self.context(), initializer=initializer, initargs=initargs
        )


class ExecutorForkServer(Executor):
    method = "forkserver"


class ExecutorSpawn(Executor):
    method = "spawn"


class MultiprocessingPool(Pool):
    method = "fork"
    cancels = False

    def made(self, workers: int, initializer: Callable[..., None] | None, initargs: tuple) -> Any:
        return self.context().Pool(workers, initializer, initargs)

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.native.apply_async(function, args)

    def outcome(self, handle: Any, until: float) -> Outcome:
        handle.wait(max(0, until - time.monotonic()))
        if not handle.ready():
            return Outcome("hangs")
        try:
            return Outcome("done", handle.get(0))
        except Exception as error:
            return Outcome("failed", error)

    def pids(self) -> list[int]:
        return [each.pid for each in self.native._pool]

    def close(self) -> None:
        self.native.terminate()
        self.native.join()


class FenshenPool(MultiprocessingPool):
    @classmethod
    def context(cls) -> Any:
        return Fenshen.context()


class Loky(Pool):
    def made(self, workers: int, initializer: Callable[..., None] | None, initargs: tuple) -> Any:
        from loky import ProcessPoolExecutor

        return ProcessPoolExecutor(workers, initializer=initializer, initargs=initargs)

    @classmethod
    def context(cls) -> Any:
        from loky.backend import get_context

        return get_context()


class Pebble(Pool):
    method = "fork"

    def made(self, workers: int, initializer: Callable[..., None] | None, initargs: tuple) -> Any:
        from pebble import ProcessPool

        return ProcessPool(workers, initializer=initializer, initargs=initargs, context=self.context())

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.native.schedule(function, args=args)

    def submit_limited(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        return self.native.schedule(function, args=args, timeout=seconds)

    def pids(self) -> list[int]:
        return list(self.native._pool_manager.worker_manager.workers)

    def close(self) -> None:
        self.native.close()
        self.native.join()


class Joblib(Pool):
    """`joblib.Parallel` runs a list of calls; here each list is of one call, from a thread of its own."""

    cancels = False

    def made(self, workers: int, initializer: Callable[..., None] | None, initargs: tuple) -> Any:
        if initializer is not None:
            raise Lacks("an initializer")
        return workers

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._started(None, function, args)

    def submit_limited(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        return self._started(seconds, function, args)

    def _started(self, seconds: float | None, function: Callable[..., Any], args: tuple) -> Any:
        from joblib import Parallel, delayed

        handle: futures.Future[Any] = futures.Future()

        def run() -> None:
            try:
                handle.set_result(Parallel(self.native, timeout=seconds)([delayed(function)(*args)])[0])
            except BaseException as error:
                handle.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return handle

    def pids(self) -> list[int]:
        from joblib.externals.loky import reusable_executor

        return list(reusable_executor._executor._processes or ())

    def close(self) -> None:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)

    @classmethod
    def context(cls) -> Any:
        raise Lacks("locks and queues")


PEERS: dict[str, type[Pool]] = {
    "fenshen": Fenshen,
    "fenshen-forkserver": FenshenForkServer,
    "fenshen-spawn": FenshenSpawn,
    "fenshen-Pool": FenshenPool,
    "executor": Executor,
    "executor-forkserver": ExecutorForkServer,
    "executor-spawn": ExecutorSpawn,
    "Pool": MultiprocessingPool,
    "loky": Loky,
    "pebble": Pebble,
    "joblib": Joblib,
}
NEEDS = {"loky": "loky", "pebble": "pebble", "joblib": "joblib"}


def missing(peer: str) -> str | None:
    """Why a peer cannot be tried here; None if it can."""
    needed = NEEDS.get(peer)
    return f"{needed} is not installed" if needed and importlib.util.find_spec(needed) is None else None
