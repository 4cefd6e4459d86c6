"""What a worker process runs whose tasks are coroutines, many at once on one loop."""

from __future__ import annotations

import os
import signal
import sys

from fenshen import _worker
from fenshen._processes import LoopWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any


def main(
    initializer: Callable[..., object] | None,
    initargs: Sequence[object],
    logs: bool,
    growth: int | None,
    fds: Sequence[int],
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Serve a crew over the descriptors of the link to it: segment, tasks, results, doorbell, bell."""
    from fenshen.runners import Runner

    # What a terminal sends to everybody is the program's affair, which cancels what is to be cancelled.
    overhear([signal.SIGINT])
    worker = enter(fds)
    if logs:
        _worker.relay(worker)
    if initializer is not None:
        _worker.initialize(initializer, initargs)
    with Runner(debug=debug, loop_factory=loop_factory) as runner:
        _serve(worker, runner.get_loop())
    worker.see_off()


def overhear(signals: Iterable[int]) -> None:
    """Have signals do nothing here. They are not ignored, as programs that this process starts would inherit that."""
    for number in signals:
        signal.signal(number, _nothing)


def _nothing(*_: object) -> None:
    pass


def enter(fds: Sequence[int]) -> LoopWorker:
    """Have this process be a worker, over the descriptors of the link to its crew."""
    worker = LoopWorker(*fds, _worker.Helper)
    for fd in fds:
        os.close(fd)
    advise = sys.modules.get("fenshen.advise")
    if advise is not None:
        advise.leave()
    return worker


def _serve(worker: LoopWorker, loop: Any) -> None:
    """Run the loop until the crew says that it is enough."""
    stopped = loop.create_future()
    own = os.getpid()

    def turn() -> None:
        try:
            if worker.turn() or stopped.done():
                return
        except Exception as exc:  # the link is broken: so is the worker
            stopped.set_exception(exc)
        else:
            stopped.set_result(None)

    loop.add_reader(worker.fileno(), turn)
    worker.start(loop.create_task)
    while not stopped.done():
        try:
            loop.run_until_complete(stopped)
        except (SystemExit, KeyboardInterrupt):
            if os.getpid() != own:
                raise  # a child that a coroutine has forked
            continue  # one coroutine's, and the outcome of that one; the others go on
    loop.remove_reader(worker.fileno())
    stopped.result()
