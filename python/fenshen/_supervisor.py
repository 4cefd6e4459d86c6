"""Who looks after a pool's workers: starts and replaces them, and says what became of their tasks."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import weakref

from fenshen import _pickling, _worker
from fenshen._processes import Engine
from fenshen._task_errors import TaskErrors, ending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.process import BaseProcess
    from typing import Any

#: After so many workers in a row that died before they were ready, the pool gives up if no other worker is ready.
_STILLBORN = 3


class Supervisor:
    """Workers of one pool, and the thread that drives their engine.

    It knows nothing of the pool's face: what happens to workers is told by the `on_...` hooks, which a face may set.
    """

    def __init__(
        self,
        context: Any,
        workers: int,
        initializer: Callable[..., object] | None = None,
        initargs: Sequence[object] = (),
        *,
        kill: bool = False,
        logs: bool = False,
        most: int | None = None,
        growth: int | None = None,
        name: str | None = None,
        errors: TaskErrors | None = None,
        entry: Callable[..., None] = _worker.main,
        finishes: bool = True,
        many: int | None = None,
    ) -> None:
        """`entry` is what a worker's process calls; with `finishes`, the program's end waits for its tasks. Workers
        that have a loop run up to `many` at once."""
        self.context = context
        self._owner = os.getpid()
        self.workers = workers
        self.most = most
        self._kill = kill
        self._many = many
        self.engine = Engine(self, kill, many)
        #: Every worker's process by its pid, as pools of the standard library have them.
        self.processes: dict[int, BaseProcess] = {}
        self.thread: threading.Thread | None = None
        #: What is done when another thread has started the first workers, where one does.
        self.starting: Any = None
        self.broken: str | None = None
        self.closing = False
        self._by_number: dict[int, BaseProcess] = {}
        self._arguments = (initializer, tuple(initargs), logs, growth)
        self._name = name
        self._entry = entry
        self._finishes = finishes
        self._lock = threading.RLock()
        self._launcher: Any = None
        self._stillborn = 0
        #: Workers that live and have been ready.
        self._ready: set[int] = set()
        #: The thread has ended: nobody will do what is submitted from now on.
        self.over = False
        self._errors = errors = TaskErrors() if errors is None else errors
        # Which the engine asks for.
        self.not_pickled, self.failed, self.not_loaded = errors.not_pickled, errors.failed, errors.not_loaded
        #: Those that are to end, by number: whether another takes the place of each.
        self._leaving: dict[int, bool] = {}
        self._killed = False
        #: A worker is missing, as no process could be started for it.
        self.short = False
        #: The loop that drives the engine instead of the thread while it runs.
        self._loop: Any = None
        self._freed = threading.Event()
        #: Called with a process that was started, and with one whose place another takes.
        self.on_start: Callable[[BaseProcess], object] | None = None
        self.on_end: Callable[[BaseProcess], object] | None = None
        #: Whoever looks after the workers of coroutines beside the same pool.
        self.beside: Supervisor | None = None
        self._counted = {"died": 0, "timed out": 0, "recycled": 0}
        living.add(self)

    # -- Workers ------------------------------------------------------------------------------------------------------

    def start(self, workers: int) -> None:
        """Start the first workers, and then the thread that drives the engine.

        Raises what starting a process raises.
        """
        from fenshen import _launch

        self.own_engine()
        with self._lock:
            if self._launcher is None:
                self._launcher = _launch.launcher(self.context)
            if len(self._by_number) < workers:
                self.add(workers - len(self._by_number))
            if self.thread is None:
                self._start_thread()

    def own_engine(self) -> Engine:
        """The engine, before its first use; in a forked child a new one, as what its parent never used is its own."""
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self._lock = threading.RLock()
            self._launcher = None
            self.starting = None
            self.engine = Engine(self, self._kill, self._many)
        return self.engine

    def _start_thread(self) -> None:
        thread = threading.Thread(target=_drive, args=(self.engine, weakref.ref(self)), name="fenshen-pool")
        thread.daemon = True
        self.thread = thread
        if self._finishes:
            _running[thread] = weakref.ref(self)
        try:
            thread.start()
        except RuntimeError:  # there can be no more threads now
            _running.pop(thread, None)
            self.thread = None
            raise

    def add(self, workers: int = 1) -> None:
        """Start more workers, all at once: all of them, or none."""
        openings = [self.engine.open() for _ in range(workers)]
        fds = [(*opening.fds, self.engine.bell) for opening in openings]
        started = self._launcher.start_many(workers, self._entry, self._arguments, fds, name=self._name)
        taken = 0
        try:
            for opening, process in zip(openings, started, strict=True):
                self._take_in(opening, process)
                taken += 1
        except BaseException:
            for process in started[taken:]:
                self._end_untaken(process)
            raise

    def _take_in(self, opening: Any, process: BaseProcess) -> None:
        self.processes[process.pid] = process  # type: ignore[index]
        if self.on_start is not None:
            self.on_start(process)
        pidfd = _pidfd(process)
        try:
            self._by_number[self.engine.add(opening, pidfd, self.most)] = process
        finally:
            os.close(pidfd)

    def _end_untaken(self, process: BaseProcess) -> None:
        """End a worker that nobody would ever tell to end."""
        process.kill()
        process.join()
        if self.processes.pop(process.pid, None) is not None and self.on_end is not None:  # type: ignore[arg-type]
            self.on_end(process)

    def pids(self) -> set[int]:
        """Of the pool's processes: the workers, and the one that they are forked from."""
        found = set(self.processes) if self.beside is None else self.beside.pids().union(self.processes)
        template = getattr(self._launcher, "_template", None)
        if template is not None and template.pid is not None:
            found.add(template.pid)
        return found

    def adjust(self) -> None:
        """Start a worker for a task to come if all are busy and there may be more."""
        _, _, _, idle = self.engine.counts()
        if not idle and self._staying() < self.workers and self._owner == os.getpid():
            with self._lock:
                # Somebody else may have started one meanwhile.
                enough = self.closing or self._staying() >= self.workers
                why = None if enough else self._start_again()
            if why is not None:
                self.fail(why)

    def resize(self, workers: int, at_once: bool = True) -> None:
        """Have another number of workers: more `at_once`, or as many as there are tasks for by now; fewer as they end
        what they do, those first that have least to do.

        Raises what starting a process raises; `adjust()` tries again.
        """
        with self._lock:
            self.workers = workers
            if self.thread is None or self.closing:
                return
            missing = workers - self._staying()
            if missing > 0:
                queued, sent, _, _ = self.engine.counts()
                self._grow(missing if at_once else max(0, min(missing, queued + sent - self._staying())))
                return
            staying = [number for number in reversed(self._by_number) if number not in self._leaving]
            staying.sort(key=lambda number: len(self.engine.tasks(number)))
            for number in staying[:-missing]:
                self._leaving[number] = False
                self.engine.retire(number)

    def catch_up(self) -> None:
        """Have as many workers as there are tasks for by now; otherwise as `resize()`."""
        with self._lock:
            self.resize(self.workers, at_once=False)

    def _grow(self, workers: int) -> None:
        try:
            self.add(workers)
        except OSError:
            self.short = True
            raise

    def _staying(self) -> int:
        return len(self._by_number) - len(self._leaving)

    def close(self) -> None:
        """No more tasks come: workers end when nothing is left to do, and then the thread does."""
        if self._owner != os.getpid():
            return  # a copy, in a forked child
        if self.starting is not None:
            self.starting.exception()  # whoever starts the first workers must not find them unwanted
        with self._lock:
            self.closing = True
            self._freed.set()
            self.engine.stop_streams()
            self.engine.close()
            if self.thread is None or not self._by_number:
                self.engine.stop()
                if self.thread is None:
                    self._release()

    def kill(self, signal: int) -> None:
        """End every worker at once by a signal; tasks that ran are lost, those that waited must be taken out before."""
        self._killed = True
        self.engine.kill(signal)

    def interrupt(self) -> None:
        """Take out what has not begun, and interrupt what began after its worker had had the signal."""
        for sink in self.engine.interrupt():
            if hasattr(sink, "cancel"):
                sink.cancel()

    def give_up(self) -> None:
        """End without what waits, and without what runs: the program was interrupted."""
        for sink in self.engine.clear():
            if hasattr(sink, "cancel"):
                sink.cancel()
        self.close()
        self.kill(signal.SIGTERM)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended, after `close()`."""
        if self.thread is not None and self.thread is not threading.current_thread() and self._owner == os.getpid():
            self.thread.join(timeout)

    def _release(self) -> None:
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None

    # -- On a loop ----------------------------------------------------------------------------------------------------

    def adopt(self, loop: Any) -> None:
        """Have a running loop take the results, on its own thread, as long as it runs."""
        self.leave_loop()
        if self._loop is not loop and self._loop is None and self.thread is not None:
            self._loop = loop
            self._freed.clear()
            loop.add_reader(self.engine.fileno(), self._turn)
            self.engine.pause()
            loop.call_soon(self._turn)

    def leave_loop(self) -> None:
        """Have the thread drive again at once, if the loop that did has ended and nobody has noticed yet."""
        if self._loop is not None and not self._loop.is_running():
            self._freed.set()

    def _turn(self) -> None:
        self.engine.turn()
        if not self.engine.listen() and self._loop is not None:
            self._loop.call_soon(self._turn)

    def _assist(self) -> None:
        """The thread's part while a loop drives: a look now and then, in case the loop is held up or has stopped."""
        loop = self._loop
        while loop.is_running() and not self.closing:
            # Whoever takes what has come must say that the next one is to be told of.
            while not self.engine.listen():
                self.engine.turn()
            _, sent, _, _ = self.engine.counts()
            if self._freed.wait(0.05 if sent else 1.0):
                self._freed.clear()  # it may run again
            self.engine.turn()
        # One that is closed has no readers any more. Only then can the loop adopt the engine anew.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.remove_reader, self.engine.fileno())
        self._loop = None

    # -- What the engine asks and tells -------------------------------------------------------------------------------

    by_value = staticmethod(_pickling.by_value_or_none)

    def timed_out(self, seconds: float) -> BaseException:
        """The error of a task that ran too long."""
        self._counted["timed out"] += 1
        return self._errors.timed_out(seconds)

    def ready(self, number: int) -> None:
        """A worker is ready."""
        self._stillborn = 0
        self._ready.add(number)

    def retiring(self, number: int) -> None:
        """A worker has had as many tasks as it may, or has grown too large: another takes its place."""
        why = None
        with self._lock:
            if number in self._leaving:
                return  # there are to be fewer
            self._leaving[number] = replaced = self._staying() <= self.workers and self._needed()
            self._counted["recycled"] += 1
            if replaced:
                why = self._start_again()
        if why is not None:
            self.fail(why)

    def corrupt(self, number: int, why: str) -> None:
        """A worker wrote nonsense into shared memory; it is being killed."""
        from fenshen import _engine

        process = self._by_number.get(number)
        _engine.say(f"worker {process.pid if process else number} was ended: {why}")

    def note(self, _: int, note: tuple[str, Any]) -> None:
        """What a worker says besides results."""
        kind, what = note
        if kind == "log":
            import logging

            record = logging.makeLogRecord(what)
            logging.getLogger(record.name).handle(record)

    def gone(self, number: int, expected: bool, was_ready: bool, has_lost: bool) -> BaseException | None:
        """A worker has ended; the error of the task that went with it, if one did."""
        why = None
        with self._lock:
            process = self._by_number.pop(number, None)
            if process is None:  # whoever started it was interrupted, and ended it
                return self._errors.died(None) if has_lost else None
            self._ready.discard(number)
            process.join()
            assert process.pid is not None
            self.processes.pop(process.pid, None)
            is_leaving = number in self._leaving
            replaced = self._leaving.pop(number, False) or self._needed()
            if self.on_end is not None and replaced:
                self.on_end(process)
            if not expected:
                self._counted["died"] += 1
            died = self._errors.died(process) if has_lost else None
            if not was_ready and not expected:
                self._stillborn += 1
                if (self._stillborn >= _STILLBORN and not self._ready) or (process.exitcode or 0) >= 0:
                    why = self.broken = f"a worker process ended before it was ready ({ending(process.exitcode)})"
            if not is_leaving and self._staying() < self.workers and self._needed():
                why = self._start_again()
            if self.closing and not self._by_number:
                self.engine.stop()
        if why is not None:  # with nothing locked: futures call back
            self.fail(why)
        return died

    def _needed(self) -> bool:
        if self.broken is not None or self._killed:
            return False
        # What was sent is done by those who have it; what a death gives back is queued, or sent elsewhere.
        queued, _, _, _ = self.engine.counts()
        return not self.closing or queued > 0

    def _start_again(self) -> str | None:
        """Start another worker; why the pool is broken, if it is now."""
        try:
            self.add()
            self.short = False
        except Exception as e:  # OSError, and what comes of pickling for a process that is spawned
            self.short = True
            if not self._by_number:
                self.broken = f"no worker process can be started: {e}"
                return self.broken
        return None

    def fail(self, why: str) -> None:
        """Give up: every task fails, and no more are taken."""
        self.broken = why
        for sink in self.engine.clear():
            _fail(sink, self._errors.broken(why))
        self.close()

    def drop(self, exc: BaseException) -> None:
        """Fail what waits for the first workers, which could not be started; more may be submitted."""
        for sink in self.engine.clear():
            error = self._errors.broken(f"no worker process can be started: {exc}")
            error.__cause__ = exc
            _fail(sink, error)

    def sweep(self) -> None:
        """Fail what nobody will do: for the thread at its end, and for whoever submits something and finds it `over`
        then. One of the two sees each task.
        """
        for sink in self.engine.clear():
            _fail(sink, self._errors.closed() if self.broken is None else self._errors.broken(self.broken))

    def finish(self) -> None:
        """Called by the thread when nothing is left."""
        self.over = True
        self.sweep()
        with self._lock:
            self._release()


def _pidfd(process: BaseProcess) -> int:
    """A descriptor that is readable when a process has ended, even if it has ended and was waited for by now."""
    try:
        return os.pidfd_open(process.pid)  # type: ignore[arg-type]
    except ProcessLookupError:
        return os.eventfd(1)


def _fail(sink: Any, exc: BaseException) -> None:
    if callable(sink):
        sink(False, exc)
    elif not sink.done():
        sink.set_exception(exc)


#: Every one that there is, of pools that were not used yet too.
living: weakref.WeakSet[Supervisor] = weakref.WeakSet()
_running: dict[threading.Thread, weakref.ref[Supervisor]] = {}


def _drive(engine: Engine, supervisor: weakref.ref[Supervisor]) -> None:
    try:
        while not engine.drive():
            found = supervisor()
            if found is not None and found._loop is not None:
                found._assist()
            del found
    finally:
        found = supervisor()
        if found is not None:
            found.finish()
        _running.pop(threading.current_thread(), None)


def _at_exit() -> None:
    """Let every pool finish what it has, as the standard library does."""
    running = [(thread, reference()) for thread, reference in list(_running.items())]
    interrupted = isinstance(getattr(sys, "last_value", None), KeyboardInterrupt)
    for _, supervisor in running:
        if supervisor is None:
            continue
        if interrupted:
            supervisor.give_up()
            continue
        # The program's own signal may have come as it was about to shut the pool down because of a worker's.
        if not supervisor.closing and supervisor.engine.was_interrupted():
            supervisor.interrupt()
        supervisor.close()
    for thread, _ in running:
        thread.join()


def _forget() -> None:
    _running.clear()


threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
os.register_at_fork(after_in_child=_forget)
