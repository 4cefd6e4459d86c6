"""A cluster of Dask's: one that runs, or one of this machine."""

from __future__ import annotations

import os
import time

from fenshen._cluster_call import call, missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Seconds for which the number of threads is taken as known.
_KNOWN_FOR = 1.0
#: What a cluster is started with that nobody has said anything of: a process with one thread for each CPU.
_DEFAULTS = {"threads_per_worker": 1, "processes": True, "dashboard_address": None, "silence_logs": 50}


class DaskCluster:
    """A connection to a cluster of Dask's."""

    def __init__(self, address: str | None, options: dict[str, Any]) -> None:
        """Raises ImportError if Dask's `distributed` is not installed, and what connecting raises."""
        try:
            import distributed
        except ImportError as exc:
            raise missing("dask", exc) from exc
        self.distributed: Any = distributed
        self._threads, self._looked = 1, 0.0
        self._closes: list[Any] = []
        address = address or os.environ.get("DASK_SCHEDULER_ADDRESS")
        self.client: Any = None
        if address is None:
            try:
                self.client = distributed.get_client()
            except ValueError:  # there is none
                cluster = distributed.LocalCluster(**{**_DEFAULTS, **options})
                self._closes.append(cluster)
                address, options = cluster, {}
        if self.client is None:
            try:
                self.client = distributed.Client(address, set_as_default=False, **options)
            except BaseException:
                self.close()
                raise
            self._closes.insert(0, self.client)

    def capacity(self) -> int:
        """How many calls it can make at a time."""
        now = time.monotonic()
        if now - self._looked > _KNOWN_FOR:
            known = self.client.scheduler_info(n_workers=-1)["workers"].values()
            self._threads, self._looked = max(1, sum(each["nthreads"] for each in known)), now
        return self._threads

    def submit(self, what: Any, came: Callable[[Any], object]) -> None:
        """Have a call made; `came` is called with what has ended, in a thread of Dask's.

        Raises what pickling raises.
        """
        self.client.submit(call, *what, pure=False).add_done_callback(came)

    def outcome(self, future: Any) -> tuple[bool, Any, str | None]:
        """Whether a call went well, what it returned or raised, and the text of its traceback."""
        try:
            outcome: tuple[bool, Any, str | None] = future.result()
        except BaseException as exc:
            return False, *self.explained(exc)
        finally:
            future.release()
        return outcome

    def explained(self, exc: BaseException) -> tuple[BaseException, str | None]:
        """An error of Dask's as what it stands for, with the traceback's text if that is of another process."""
        import traceback

        from fenshen.worker_died import WorkerDied

        if isinstance(exc, (self.distributed.KilledWorker, self.distributed.client.FutureCancelledError)):
            died = WorkerDied(f"{type(exc).__name__}: {exc}")
            died.__cause__ = exc
            return died, None
        return exc, "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))

    def close(self) -> None:
        """End what was started, or leave what was joined."""
        closes, self._closes = self._closes, []
        for each in closes:
            each.close()
