"""A cluster of Ray's: one that runs, or one of this machine."""

from __future__ import annotations

import os
import time

from fenshen._cluster_call import call, missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Seconds for which the number of CPUs is taken as known.
_KNOWN_FOR = 1.0
#: What a cluster is started with that nobody has said anything of.
_DEFAULTS = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}


class RayCluster:
    """A connection to a cluster of Ray's."""

    def __init__(self, address: str | None, options: dict[str, Any]) -> None:
        """Raises ImportError if Ray is not installed, and what `ray.init` raises."""
        try:
            import ray
        except ImportError as exc:
            raise missing("ray", exc) from exc
        self.ray: Any = ray
        self._cpus, self._looked = 1, 0.0
        address = address or os.environ.get("RAY_ADDRESS")
        self.own = not ray.is_initialized()
        if self.own:
            # Without "local", Ray looks for a cluster that somebody may have left in /tmp.
            ray.init(address=address or "local", **{**_DEFAULTS, **options})
        self._call = ray.remote(call)

    def capacity(self) -> int:
        """How many calls it can make at a time."""
        now = time.monotonic()
        if now - self._looked > _KNOWN_FOR:
            self._cpus, self._looked = max(1, int(self.ray.cluster_resources().get("CPU", 1))), now
        return self._cpus

    def submit(self, what: Any, came: Callable[[Any], object]) -> None:
        """Have a call made; `came` is called with what has ended, in a thread of Ray's. Raises what pickling raises."""
        reference = self._call.remote(*what)
        # The reference must live until then: Ray makes no call whose result nobody can ask for.
        reference.future().add_done_callback(lambda future, kept=reference: came(future))

    def outcome(self, future: Any) -> tuple[bool, Any, str | None]:
        """Whether a call went well, what it returned or raised, and the text of its traceback."""
        exc = future.exception()
        if exc is None:
            outcome: tuple[bool, Any, str | None] = future.result()
            return outcome
        return False, *self.explained(exc)

    def explained(self, exc: BaseException) -> tuple[BaseException, str | None]:
        """An error of Ray's as what it stands for, with the traceback's text if that is of another process."""
        from fenshen.worker_died import WorkerDied

        errors = self.ray.exceptions
        if isinstance(exc, errors.RayTaskError):
            kept = vars(exc)  # what is not there, it would look for in the cause
            cause = kept.get("cause")
            return (cause if isinstance(cause, BaseException) else exc), kept.get("traceback_str") or str(exc)
        if isinstance(exc, errors.RayError):
            died = WorkerDied(f"{type(exc).__name__}: {exc}")
            died.__cause__ = exc
            return died, None
        return exc, None

    def close(self) -> None:
        """End what was started, or leave what was joined."""
        if self.own:
            self.own = False
            self.ray.shutdown()
