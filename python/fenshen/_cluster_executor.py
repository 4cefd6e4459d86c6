"""`ClusterExecutor`: the executor's contract on a cluster of Ray's or Dask's."""

from __future__ import annotations

import atexit
import functools
import itertools
import queue
import threading
import weakref
from collections import deque
from concurrent.futures import Executor, Future

from fenshen._cluster_call import with_trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = ["ClusterExecutor"]

ENGINES = ("ray", "dask")


class ClusterExecutor(Executor):
    """An executor whose tasks run on a cluster of Ray's or Dask's.

    It joins the one that runs at `address` (or at what RAY_ADDRESS or DASK_SCHEDULER_ADDRESS says, or that this process
    is connected to), or starts one on this machine, which `shutdown()` ends. Futures are the standard library's own.
    """

    def __init__(self, engine: str, address: str | None = None, **options: Any) -> None:
        """`engine` is "ray" or "dask"; `options` go to `ray.init`, or to `distributed.Client` when a cluster is joined
        and to `distributed.LocalCluster` when one is started.

        Raises ValueError for another engine, ImportError, naming the extra to install, if that engine is not there, and
        what connecting raises.
        """
        self._sender = _Sender(connect(engine, address, options))
        self._close = weakref.finalize(self, self._sender.close)
        self._close.atexit = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have `fn(*args, **kwargs)` called on the cluster; its future.

        The function, its arguments and its result are pickled, by `cloudpickle` where that is needed; what cannot be
        fails the future. What the call raises is raised by the future, of its own type, with the traceback that it had
        there. A call whose node is lost is made again by the engine; where that has given up, the future raises
        WorkerDied. A call is `running()` once the cluster has it, and cannot be cancelled from then on.

        Raises RuntimeError after `shutdown()`.
        """
        future: Future[Any] = Future()
        self._sender.add(future, (fn, args, kwargs))
        return future

    def map(  # type: ignore[override]
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **options: Any,
    ) -> Iterator[Any]:
        """`map(fn, *iterables)`, with the calls made on the cluster, `chunksize` of them in one task.

        `timeout` is in seconds from this call. Raises ValueError if `chunksize` is below 1; the iterator raises what a
        call raises, and TimeoutError.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout, **options)
        chunks = _chunks(zip(*iterables), chunksize)  # noqa: B905 - as map() has it
        return _each(super().map(functools.partial(_calls, fn), chunks, timeout=timeout, **options))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; with `cancel_futures` cancel those that the cluster does not have yet; with `wait`,
        return when all are done. Then a cluster that was started for this is ended, and any other left."""
        self._sender.close(cancel_futures)
        if wait:
            self._sender.join()


class _Sender:
    """What is to be done, and the thread that tells what became of it.

    Ray calls back in a thread that must do nothing else: to send more, or to run a program's callbacks, is this one's.
    """

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._queued: deque[tuple[Future[Any], Any]] = deque()
        self._sent = 0
        self._closing = False
        self._outcomes: queue.SimpleQueue[tuple[Future[Any], Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="fenshen-cluster", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)

    def add(self, future: Future[Any], call: Any) -> None:
        with self._lock:
            if self._closing:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._queued.append((future, call))
        self._send()

    def close(self, cancel: bool = False) -> None:
        with self._lock:
            self._closing = True
            cancelled = list(self._queued) if cancel else []
            if cancel:
                self._queued.clear()
        for future, _ in cancelled:
            if future.cancel():
                future.set_running_or_notify_cancel()
        self._outcomes.put(None)

    def join(self) -> None:
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _at_exit(self) -> None:
        self.close()
        self.join()

    def _send(self) -> None:
        """Hand over to the cluster what it has room for: one more than it can do at a time."""
        while True:
            with self._lock:
                if not self._queued or self._sent > self._cluster.capacity():
                    return
                future, call = self._queued.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                self._sent += 1
            try:
                self._cluster.submit(call, functools.partial(self._came, future))
            except Exception as exc:
                self._came(future, exc)

    def _came(self, future: Future[Any], ended: Any) -> None:
        self._outcomes.put((future, ended))

    def _serve(self) -> None:
        while not self._closing or self._sent or self._queued:
            outcome = self._outcomes.get()
            if outcome is not None:
                self._tell(*outcome)
                del outcome
            self._send()
        self._cluster.close()
        atexit.unregister(self._at_exit)

    def _tell(self, future: Future[Any], ended: Any) -> None:
        if isinstance(ended, BaseException):
            well, value, trace = False, ended, None
        else:
            try:
                well, value, trace = self._cluster.outcome(ended)
            except Exception as exc:  # what cannot be loaded, for one
                well, value, trace = False, exc, None
        with self._lock:
            self._sent -= 1
        if well:
            future.set_result(value)
            return
        future.set_exception(with_trace(value, trace))


def connect(engine: str, address: str | None, options: dict[str, Any]) -> Any:
    """A connection to a cluster, as `ClusterExecutor` and `map_reduce` have it.

    Raises ValueError for an unknown engine, ImportError if it is not installed, and what connecting raises.
    """
    if engine == "ray":
        from fenshen._cluster_ray import RayCluster

        return RayCluster(address, options)
    if engine == "dask":
        from fenshen._cluster_dask import DaskCluster

        return DaskCluster(address, options)
    raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")


def _chunks(calls: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while chunk := list(itertools.islice(calls, size)):
        yield chunk


def _calls(fn: Callable[..., Any], chunk: list[Any]) -> list[Any]:
    return [fn(*args) for args in chunk]


def _each(chunks: Iterator[list[Any]]) -> Iterator[Any]:
    for chunk in chunks:
        chunk.reverse()
        while chunk:
            yield chunk.pop()
