"""What a worker process of a pool runs."""

from __future__ import annotations

import gc
import os
import sys
from types import GeneratorType

from fenshen import _pickling
from fenshen._processes import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


class Helper:
    """What the native worker asks of Python."""

    by_value = staticmethod(_pickling.by_value_or_none)
    collect = staticmethod(gc.collect)

    @staticmethod
    def refused(exc: BaseException, value: object) -> None:
        """Say what can be done about a result that cannot be pickled."""
        if isinstance(value, GeneratorType) and sys.version_info >= (3, 11):
            exc.add_note("fenshen: stream() of the pool sends what a generator yields")

    @staticmethod
    def traceback_of(exc: BaseException) -> tuple[BaseException, str]:
        """An exception, and the text of its traceback."""
        return exc, _pickling.traceback_of(exc)

    @staticmethod
    def not_pickled(exc: BaseException, refused: BaseException) -> tuple[BaseException, str]:
        """What is sent for an exception that cannot be pickled: why, and its traceback all the same."""
        text = _pickling.traceback_of(exc)
        try:
            _pickling.round_trip(refused)
        except Exception:
            refused = TypeError(f"{type(refused).__name__}: {refused}")
        return refused, text


class InitializerFailed(SystemExit):
    """The initializer raised: the worker ends with exit status 1."""


_local: dict[str, Any] = {}


def current() -> Worker | None:
    """The worker that this process is, if it is one of a pool."""
    return _local.get("worker")


def enter(fds: Sequence[int], helper: Any, growth: int | None) -> Worker:
    """Have this process be a worker, over the descriptors of the link to its pool."""
    worker = Worker(*fds, helper, growth)
    for fd in fds:
        os.close(fd)
    _local["worker"] = worker
    advise = sys.modules.get("fenshen.advise")
    if advise is not None:
        advise.leave()
    return worker


def main(
    initializer: Callable[..., object] | None,
    initargs: Sequence[object],
    logs: bool,
    growth: int | None,
    fds: Sequence[int],
) -> None:
    """Serve a pool over the descriptors of the link to it: segment, tasks, results, bell."""
    worker = enter(fds, Helper, growth)
    if logs:
        relay(worker)
    if initializer is not None:
        initialize(initializer, initargs)
    worker.serve()


def initialize(initializer: Callable[..., object], initargs: Sequence[object]) -> None:
    """Call the initializer, which ends the worker if it raises."""
    try:
        initializer(*initargs)
    except BaseException:
        from concurrent.futures import _base

        _base.LOGGER.critical("Exception in initializer:", exc_info=True)
        raise InitializerFailed(1) from None


def relay(worker: Any) -> None:
    """Send every log record that reaches the root logger to the pool's process, and to nobody here."""
    import logging

    class Relay(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                worker.note(_pickling.plain(("log", _prepared(record))))
            except Exception:
                self.handleError(record)

    root = logging.getLogger()
    root.handlers[:] = [Relay()]


def _prepared(record: Any) -> dict[str, Any]:
    """A record's attributes, with what cannot be pickled made text."""
    import logging

    fields = dict(record.__dict__)
    fields["msg"], fields["args"] = record.getMessage(), None
    if record.exc_info:
        fields["exc_text"] = record.exc_text or logging.Formatter().formatException(record.exc_info)
        fields["exc_info"] = None
    for name, value in fields.items():
        if not isinstance(value, (str, int, float, bool, type(None))):
            fields[name] = repr(value)
    return fields
