"""`run(main, processes=N)`: a loop in each of several processes."""

from __future__ import annotations

import asyncio
import functools
import os
import sys

from fenshen import _draining, _loop_worker, _process_number, _shutdown
from fenshen._process_tasks import Crew

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from concurrent.futures import Future
    from typing import Any

    LoopFactory = Callable[[], asyncio.AbstractEventLoop]

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

__all__ = ["run_processes"]


def run_processes(
    main: Callable[[], Coroutine[Any, Any, Any]],
    processes: int,
    signals: tuple[int, ...],
    grace: float,
    debug: bool | None,
    loop_factory: LoopFactory | None,
) -> list[Any]:
    """See `fenshen.run`."""
    if not callable(main):
        raise TypeError("with processes=, main must be a coroutine function, which each process calls")
    if processes < 1:
        raise ValueError("processes must be greater than 0")
    import multiprocessing

    entry = functools.partial(_loop_worker.main, debug=debug, loop_factory=loop_factory)
    ears = _Ears(processes if signals else 0)
    try:
        with _shutdown.register(signals, ears.tell, ears.tell):
            # As an initializer's arguments they are inherited by fork, with all that they refer to.
            known = (main, ears.given)
            crew = Crew(multiprocessing.get_context(), processes, _learn, known, limit=1, entry=entry)
            futures = crew.submit_each([(_main, (number, signals, grace), {}) for number in range(processes)])
            crew.shutdown(wait=False)
            try:
                return _outcome(futures)
            finally:
                crew.shutdown()
    finally:
        ears.close()


class _Ears:
    """A pipe to each process, by which it learns of a signal that this one has had."""

    def __init__(self, processes: int) -> None:
        from fenshen.multiprocessing import Pipe

        self._pipes = [Pipe(duplex=False) for _ in range(processes)]

    @property
    def given(self) -> list[Any]:
        """What each process reads from, if anything."""
        return [pipe[0] for pipe in self._pipes]

    def tell(self, number: int) -> None:
        """Pass a signal on."""
        for _, end in self._pipes:
            try:
                os.write(end.fileno(), bytes([number]))
            except (OSError, ValueError):  # its process has ended
                continue

    def close(self) -> None:
        for pipe in self._pipes:
            for end in pipe:
                end.close()


#: What each process is to run, there, and what it may hear of signals.
_learnt: list[Any] = []


def _learn(main: Callable[[], Coroutine[Any, Any, Any]], ears: Sequence[Any]) -> None:
    _learnt[:] = main, ears


async def _main(number: int, signals: tuple[int, ...], grace: float) -> Any:
    """What runs in each process."""
    main, ears = _learnt
    _process_number.set_number(number)
    coroutine = main()
    if not asyncio.iscoroutine(coroutine):
        raise TypeError(f"main must return a coroutine, not {coroutine!r}")
    if not ears:
        return await coroutine
    ear = ears[number]
    _loop_worker.overhear(signals)  # whoever sends them to all of us has sent them to the parent
    drain = _draining.Drain(grace)
    loop = asyncio.get_running_loop()
    with _shutdown.register((), drain.begin, drain.end) as asked:

        def hear() -> None:
            told = os.read(ear.fileno(), 64)
            if not told:
                loop.remove_reader(ear.fileno())
            for each in told:
                asked.tell(each)

        loop.add_reader(ear.fileno(), hear)
        try:
            return await drain.run(coroutine)
        finally:
            loop.remove_reader(ear.fileno())
            ear.close()


def _outcome(futures: list[Future[Any]]) -> list[Any]:
    """What all processes returned, once they have ended; if one fails, the others are cancelled."""
    from concurrent.futures import FIRST_EXCEPTION

    from fenshen._waiting import wait

    try:
        wait(futures, return_when=FIRST_EXCEPTION)
        if any(map(_has_failed, futures)):
            _cancel(futures)
        wait(futures)
    except BaseException:
        _cancel(futures)
        wait(futures)
        raise
    errors = [future.exception() for future in futures if _has_failed(future)]
    for exc in errors:
        if isinstance(exc, (SystemExit, KeyboardInterrupt)):
            raise exc
    if errors:
        raise BaseExceptionGroup("unhandled errors in the processes of run()", errors)
    return [None if future.cancelled() else future.result() for future in futures]


def _has_failed(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is not None


def _cancel(futures: list[Future[Any]]) -> None:
    for future in futures:
        future.cancel()
