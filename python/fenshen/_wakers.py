"""Who could wake an event loop that has nothing to do: signals, child processes, other threads."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from fenshen import _request

# Names of the worker function's local variables and code are those of 3.10 to 3.14.


class Worker(NamedTuple):
    """A thread of a `concurrent.futures.ThreadPoolExecutor`."""

    tid: int
    ident: int
    queue: Any


# -- Signals ----------------------------------------------------------------------------------------------------------


def signals(loop: Any) -> bool:
    """Whether a signal handler of the program's could wake the loop."""
    return bool(getattr(loop, "_signal_handlers", None)) or handlers()


def handlers() -> bool:
    """Whether the program has a signal handler in Python: any but the default ones, or `Runner`'s."""
    return any(not _harmless(number, signal.getsignal(number)) for number in signal.valid_signals())


def _harmless(number: int, handler: Any) -> bool:
    if handler is signal.SIG_DFL or handler is signal.SIG_IGN or _request.is_ours(handler):
        return True
    if number != signal.SIGINT:
        return False
    return handler is signal.default_int_handler or _is_runners(handler)


def _is_runners(handler: Any) -> bool:
    """Whether it is what `Runner` installs: that cancels the main task at Ctrl-C, and does nothing else."""
    if not isinstance(handler, functools.partial):
        return False
    function = getattr(handler.func, "__func__", None)
    for module in ("asyncio.runners", "fenshen._runner310"):
        runner = getattr(sys.modules.get(module), "Runner", None)
        if runner is not None and function is getattr(runner, "_on_sigint", None):
            return True
    return False


# -- Processes --------------------------------------------------------------------------------------------------------


def children() -> bool:
    """Whether this process has a child, running or not yet waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


# -- Threads ----------------------------------------------------------------------------------------------------------


def threads() -> tuple[list[Worker], list[str]]:
    """The executor workers among the other threads of this process, and the names of those that are neither that nor
    our own helpers.
    """
    from fenshen import _fenshen, _threads

    tids = {int(name) for name in os.listdir("/proc/self/task")}
    tids.discard(threading.get_native_id())
    tids.difference_update(_fenshen.helper_threads())
    # Whoever waits for ever, for one of those that wait here, wakes nobody.
    tids.difference_update(tid for _, _, tid, _, _, timed, *_ in _threads.waits() if not timed)
    if not tids:
        return [], []
    known = {t.native_id: t for t in threading.enumerate()}
    queues = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", {})
    workers, unknown = [], []
    for tid in sorted(tids):
        thread = known.get(tid)
        queue = queues.get(thread) if thread is not None else None
        if thread is None or thread.ident is None or queue is None:
            unknown.append(thread.name if thread is not None else _name(tid))
        else:
            workers.append(Worker(tid, thread.ident, queue))
    return workers, unknown


def _name(tid: int) -> str:
    try:
        with open(f"/proc/self/task/{tid}/comm") as file:
            return f"{file.read().strip()}, number {tid}"
    except OSError:
        return f"number {tid}"


def has_jobs(workers: Sequence[Worker]) -> bool:
    """Whether one of the workers is at a job, or has one before it."""
    if not workers:
        return False
    code = sys.modules["concurrent.futures.thread"]._worker.__code__
    frames = sys._current_frames()
    for worker in workers:
        busy = getattr(worker.queue, "_busy", None)
        if busy is not None:  # a queue of ours
            if busy or worker.queue.qsize() > 0:
                return True
            continue
        frame = frames.get(worker.ident)
        if worker.queue.qsize() > 0 or frame is None or frame.f_code is not code:
            return True
        if frame.f_locals.get("work_item") is not None:
            return True
    return False


def sleeping(workers: Sequence[Worker]) -> list[tuple[int, str]] | None:
    """How often each worker's thread has run so far; None if one is not asleep, or the kernel doesn't tell."""
    found = []
    for worker in workers:
        with open(f"/proc/self/task/{worker.tid}/status") as file:
            lines = dict(line.rstrip("\n").split(":", 1) for line in file if ":" in line)
        if lines.get("State", "").strip()[:1] != "S" or "voluntary_ctxt_switches" not in lines:
            return None
        found.append((worker.tid, lines["voluntary_ctxt_switches"] + lines.get("nonvoluntary_ctxt_switches", "")))
    return found
