"""`run` and `Runner`: asyncio's, on a loop of ours."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar, overload

from fenshen import _engine

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

# The loop where there is no native engine. From 3.14 on, a loop class is what asyncio itself prefers to a policy.
EventLoop: type[asyncio.AbstractEventLoop] = getattr(asyncio, "EventLoop", asyncio.SelectorEventLoop)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A new event loop of the engine that serves this process."""
    if _engine.engine() == "native":
        from fenshen.loop import new_event_loop

        return new_event_loop()
    return asyncio.new_event_loop()


def get_event_loop() -> asyncio.AbstractEventLoop:
    """`asyncio.get_event_loop`: the running or the current loop; where asyncio would make one, it is one of ours."""
    running = asyncio._get_running_loop()
    if running is not None:
        return running
    with _DefaultPolicy():
        return asyncio.get_event_loop()


class _DefaultPolicy:
    """While it lasts, the default policy makes our loops; a policy that the program has chosen is left alone."""

    def __enter__(self) -> None:
        policy: Any = getattr(asyncio.events, "_get_event_loop_policy", asyncio.events.get_event_loop_policy)()
        default = getattr(sys.modules.get("asyncio.unix_events"), "_UnixDefaultEventLoopPolicy", None)
        self._policy = policy if type(policy) is default and "_loop_factory" not in vars(policy) else None
        if self._policy is not None:
            self._policy._loop_factory = new_event_loop

    def __exit__(self, *_: object) -> None:
        if self._policy is not None:
            del self._policy._loop_factory


if sys.version_info >= (3, 11):
    _Base = asyncio.Runner
else:
    from fenshen._runner310 import Runner as _Base


class Runner(_Base):  # type: ignore[misc,unused-ignore]
    """`asyncio.Runner` on fenshen's event loop, with the same contract on every Python.

    `debug` sets the loop's debug mode (None, the default: as PYTHONASYNCIODEBUG and `-X dev` say); `loop_factory`
    makes the loop (None, the default: `fenshen.new_event_loop`, and the loop is then also the thread's current one,
    as with `asyncio.Runner`).
    """

    _set_event_loop: bool

    def __init__(self, *, debug: bool | None = None, loop_factory: LoopFactory | None = None) -> None:
        super().__init__(debug=debug, loop_factory=self._make if loop_factory is None else loop_factory)

    def _make(self) -> asyncio.AbstractEventLoop:
        # The base makes the loop current only if it chose the factory itself, and tells its `close` so by this
        # attribute.
        loop = new_event_loop()
        if not self._set_event_loop:
            asyncio.set_event_loop(loop)
            self._set_event_loop = True
        return loop


@overload
def run(
    main: Coroutine[Any, Any, T],
    *,
    processes: None = None,
    debug: bool | None = None,
    loop_factory: LoopFactory | None = None,
) -> T: ...
@overload
def run(
    main: Coroutine[Any, Any, T],
    *,
    processes: None = None,
    shutdown_signals: Iterable[int],
    grace: float = 10.0,
    debug: bool | None = None,
    loop_factory: LoopFactory | None = None,
) -> T | None: ...
@overload
def run(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    processes: int,
    shutdown_signals: Iterable[int] = (),
    grace: float = 10.0,
    debug: bool | None = None,
    loop_factory: LoopFactory | None = None,
) -> list[T | None]: ...
def run(
    main: Any,
    *,
    processes: int | None = None,
    shutdown_signals: Iterable[int] = (),
    grace: float = 10.0,
    debug: bool | None = None,
    loop_factory: LoopFactory | None = None,
) -> Any:
    """`asyncio.run` on fenshen's event loop: run `main` to its end on a new loop, close the loop, and return main's
    result.

    `debug` and `loop_factory` are as for `Runner`. Raises what `main` raises; RuntimeError in a thread whose loop is
    running; ValueError (TypeError from Python 3.14 on) if `main` is not a coroutine; KeyboardInterrupt after Ctrl-C,
    once `main` has been cancelled.

    With `processes`, `main` is a coroutine function without arguments, and runs on a loop in each of that many new
    processes, started as `multiprocessing` does by default; `process_number()` tells which. The list of what they
    return, in order of their numbers. The first one that fails has the others cancelled, and its exception is raised,
    with those of the others, in an ExceptionGroup; WorkerDied (of `fenshen.futures`) for a process that dies. Raises
    ValueError if there is to be less than one.

    At the first of the `shutdown_signals` (`signal.SIGTERM`, ...), servers of the loop close their listening sockets,
    and `shutdown_requested()` is true. What runs may go on for `grace` seconds; then, or at the second signal, it is
    cancelled. Once all tasks have ended, what `main` returned is returned, or None if it was cancelled. In several
    processes, each of them does so. Raises ValueError in another thread than the main one.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    signals = tuple(shutdown_signals)
    if processes is not None:
        from fenshen._run_processes import run_processes

        return run_processes(main, processes, signals, grace, debug, loop_factory)
    with Runner(debug=debug, loop_factory=loop_factory) as runner:
        return _run_until_signal(runner, main, signals, grace) if signals else runner.run(main)


def _run_until_signal(runner: Any, main: Coroutine[Any, Any, T], signals: tuple[int, ...], grace: float) -> T | None:
    from fenshen import _draining, _shutdown

    if not asyncio.iscoroutine(main):
        return runner.run(main)  # type: ignore[no-any-return]  # it says what is wrong
    drain = _draining.Drain(grace)
    try:
        asked = _shutdown.register(signals, drain.begin, drain.end, loop=runner.get_loop())
    except BaseException:
        main.close()
        raise
    with asked:
        return runner.run(drain.run(main))  # type: ignore[no-any-return]


__all__ = ["Runner", "run"]
