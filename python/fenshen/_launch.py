"""How worker processes come to be: `launcher(context)` starts them by the start method of a `multiprocessing` context,
each tied to the program's lifeline.

Under "fork", workers are copies of a template: one process that the program forks when it starts its first worker, and
that never has another thread. So a worker that is started later, in place of one that died, say, sees the program as it
was then, and no thread of the program is ever forked amid something. `fenshen_pool::template` says how they come to be
children of the program all the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib
import marshal
import os
import signal
import sys
import threading
import time
from multiprocessing import process as _process
from multiprocessing import reduction
from multiprocessing import util as _util
from multiprocessing.connection import wait
from multiprocessing.popen_fork import Popen as _Popen

from fenshen import _processes

_bootstrap: Any = importlib._bootstrap  # type: ignore[attr-defined]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.process import BaseProcess
    from typing import Any, NoReturn

__all__ = ["launcher"]

util: Any = _util  # its stub leaves out what every start method of the standard library's uses
_RESTART = 5.0  # seconds that a fork server which was killed may take to end
_IMPORT = 5.0  # seconds that a module which another thread imports is waited for
_F_SETSIG = 10  # of the kernel; the module fcntl leaves it out

os.register_at_fork(after_in_child=_processes.leave_lifeline)


def launcher(context: Any) -> _Forking | _Spawning:
    """What starts processes by the start method of `context`, the default context's current one included."""
    forks = context.get_start_method() == "fork"
    return _Forking(context) if forks else _Spawning(context)


class _Launcher:
    """What the two kinds have in common."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def start(
        self,
        target: Callable[..., Any],
        args: Sequence[Any] = (),
        fds: Sequence[int] | None = None,
        *,
        name: str | None = None,
        daemon: bool | None = None,
    ) -> BaseProcess:
        """A started process of the context's own class, which calls `target(*args)`, or `target(*args, fds=numbers)` if
        there are `fds`, descriptors of which it gets copies: `numbers` is the list of what they are there.

        `name` is by default what the class would call it, `daemon` as the current process has it. Raises OSError if
        there can be no more processes or open files, AssertionError in a daemonic process.
        """
        return self.start_many(1, target, args, None if fds is None else [fds], name=name, daemon=daemon)[0]

    def start_many(
        self,
        n: int,
        target: Callable[..., Any],
        args: Sequence[Any] = (),
        fds: Sequence[Sequence[int]] | None = None,
        *,
        name: str | None = None,
        daemon: bool | None = None,
    ) -> list[BaseProcess]:
        """`n` processes as `start` makes one, each with its own of the `n` sequences in `fds`. Either all of them
        start, or the first error is raised and none is left.
        """
        if fds is not None and len(fds) != n:
            raise ValueError("there must be as many sequences of descriptors as processes")
        if not isinstance(args, tuple):
            args = tuple(args)
        started: list[BaseProcess] = []
        try:
            self._start_each(started, n, target, args, fds, name, daemon)
        except BaseException:
            for process in started:
                process.kill()
            for process in started:
                process.join()
            raise
        return started

    def _start_each(
        self,
        started: list[BaseProcess],
        n: int,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        fds: Sequence[Sequence[int]] | None,
        name: str | None,
        daemon: bool | None,
    ) -> None:
        """Add the processes to `started`, each as soon as it is."""
        raise NotImplementedError

    def close(self) -> None:
        """Keep nothing; the processes live on."""


def _call(target: Callable[..., Any], args: tuple[Any, ...], fds: list[int] | None) -> None:
    if fds is None:
        target(*args)
    else:
        target(*args, fds=fds)


_asking = threading.RLock()


def _ask_anew() -> None:
    global _asking
    _asking = threading.RLock()


os.register_at_fork(after_in_child=_ask_anew)


class _Asked:
    """How a process object looks after its process: one thread at a time. There are several that do, as each start of a
    process, and each `active_children()`, looks after them all. Of two at once, one would be told by the kernel that
    there is no such child, or read the end of the fork server's pipe.
    """

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        popen: Any = self
        if popen.returncode is None and flag != os.WNOHANG:
            wait([popen.sentinel])
        with _asking:
            return super().poll(flag)  # type: ignore[misc]


@functools.cache
def _asked(kind: type) -> type:
    return type(kind.__name__, (_Asked, kind), {})


class _Copied(_Asked, _Popen):
    """For a copy of the template."""

    def __init__(self, pid: int) -> None:
        self.returncode = None
        self.pid = pid
        self.sentinel = os.pidfd_open(pid)
        self.finalizer = util.Finalize(self, util.close_fds, (self.sentinel,))


class _Template:
    """The program's template."""

    def __init__(
        self, context: Any, target: Callable[..., Any], args: tuple[Any, ...], passed: set[int], first: bool
    ) -> None:
        """Fork it. `target` and `args` are what its workers are to have without being told; `passed` are descriptors
        that they are not to have but by passing.
        """
        self.target = target
        self.args = args
        self._context = context
        self._native = _processes.Template()
        # A later one is no choice of the program's, so it is not warned of the threads that it has by then.
        # Nor of those that our own pools have.
        warns = first and any(thread.name != "fenshen-pool" for thread in _others())
        util._flush_std_streams()
        sys.audit("os.fork")
        end = os.dup(_processes.lifeline())
        # Nothing that a terminal sends to everybody is for the template; its workers get the mask back.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            _wait_for_imports()
            forked = self._native.fork(end, passed)
            if isinstance(forked, tuple):
                self._work(*forked, end, mask)
            self.pid = forked
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(end)
        if warns:
            _warn_of_threads()

    def _work(self, told: bytes, fds: list[int], end: int, mask: Any) -> NoReturn:
        """A worker's life, from the moment when it was copied."""
        code = 1
        try:
            sentinel = _processes.tie(end)
            os.close(end)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            try:
                code = self._live(told, fds, sentinel)
            finally:
                # As in the standard library, what went wrong after the target is not told of.
                os._exit(code)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def _live(self, told: bytes, fds: list[int], sentinel: int) -> int:
        """A worker's life, as the standard library has a forked child live."""
        import atexit

        name, identity, daemon, parent, others, has_fds = marshal.loads(told)
        args = tuple(others.get(at, arg) for at, arg in enumerate(self.args))
        process = self._context.Process(target=_call, args=(self.target, args, fds if has_fds else None), name=name)
        process._identity = identity
        process._parent_pid, process._parent_name = parent
        process._config["daemon"] = daemon
        if sys.version_info < (3, 13):
            return process._bootstrap(parent_sentinel=sentinel)
        atexit._clear()
        atexit.register(util._exit_function)
        try:
            return process._bootstrap(parent_sentinel=sentinel)
        finally:
            atexit._run_exitfuncs()

    def order(self, process: Any, target: Any, args: tuple[Any, ...], has_fds: bool) -> bytes | None:
        """What a worker is to be told; None if the template would not know what is meant."""
        if target is not self.target or len(args) != len(self.args):
            return None
        others = {at: arg for at, arg in enumerate(args) if arg is not self.args[at]}
        parent = (process._parent_pid, process._parent_name)
        try:
            return marshal.dumps((process._name, process._identity, process.daemon, parent, others, has_fds))
        except ValueError:
            return None

    def start(self, orders: list[tuple[bytes, Sequence[int]]]) -> list[int | OSError]:
        """See the native type's; when there are fewer answers than orders, the template has ended."""
        return self._native.start(orders)

    def end(self) -> None:
        """End it, if it hasn't, and a worker that it was making when it ended by itself."""
        for pid in (self.pid, lambda: self._native.untold):
            _end(pid() if callable(pid) else pid)
        self._native.close()


def _others() -> list[threading.Thread]:
    """The Python threads of this process but for the one that asks."""
    me = threading.current_thread()
    return [thread for thread in threading.enumerate() if thread is not me]


def _imports_elsewhere() -> bool:
    """Whether another thread imports a module: a copy of this process could never import that one."""
    me = threading.get_ident()
    locks = [reference() for reference in list(_bootstrap._module_locks.values())]
    return any(getattr(lock, "owner", None) not in (None, me) for lock in locks)


def _wait_for_imports() -> None:
    until = time.monotonic() + _IMPORT
    while _imports_elsewhere() and time.monotonic() < until:
        time.sleep(0.001)


def _warn_of_threads() -> None:
    """As `os.fork` warns, where it does."""
    if sys.version_info >= (3, 12):
        import warnings

        words = f"This process (pid={os.getpid()}) is multi-threaded, use of fork() may lead to deadlocks in the child."
        with contextlib.suppress(DeprecationWarning):  # it is too late to raise it, and `os.fork` doesn't
            warnings.warn(words, DeprecationWarning, stacklevel=2)


def _end(pid: int | None) -> None:
    """Kill a child and wait for it; one that has been waited for is none any more."""
    if pid is None:
        return
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ChildProcessError, ProcessLookupError):
        pass


class _Forking(_Launcher):
    """Under "fork"."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self._template: _Template | None = None
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def _start_each(
        self,
        started: list[BaseProcess],
        n: int,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        fds: Sequence[Sequence[int]] | None,
        name: str | None,
        daemon: bool | None,
    ) -> None:
        """Have the template make them, several at a time; a new one, if it has ended."""
        current: Any = _process.current_process()
        assert not current._config.get("daemon"), "daemonic processes are not allowed to have children"
        if self._owner != os.getpid():
            self.__init__(self._context)  # type: ignore[misc]  # what there is, is the parent's
        util._flush_std_streams()
        made = [self._context.Process(name=name, daemon=daemon) for _ in range(n)]
        with self._lock:
            while len(started) < n:
                at = len(started)
                pids = self._make(made[at:], target, args, fds and fds[at:])
                self._take(started, made[at:], pids)

    def _make(
        self, made: list[Any], target: Any, args: tuple[Any, ...], fds: Sequence[Sequence[int]] | None
    ) -> list[int | OSError]:
        """The numbers of new processes, for the first of `made` at least."""
        first = self._template is None
        orders = None if first else self._orders(made, target, args, fds)
        if orders is None:
            self._replace(target, args, fds, first)
            orders = self._orders(made, target, args, fds)
        assert self._template is not None
        assert orders is not None
        pids = self._template.start(orders)
        if len(pids) < len(made):
            self._replace(target, args, fds, first=False)
        return pids

    def _orders(
        self, made: list[Any], target: Any, args: tuple[Any, ...], fds: Sequence[Sequence[int]] | None
    ) -> list[tuple[bytes, Sequence[int]]] | None:
        assert self._template is not None
        orders = []
        for at, process in enumerate(made):
            told = self._template.order(process, target, args, fds is not None)
            if told is None:
                return None
            orders.append((told, fds[at] if fds else ()))
        return orders

    def _replace(self, target: Any, args: tuple[Any, ...], fds: Sequence[Sequence[int]] | None, first: bool) -> None:
        if self._template is not None:
            self._template.end()
            self._template = None
        self._template = _Template(self._context, target, args, set().union(*fds or ()), first)

    def _take(self, started: list[BaseProcess], made: list[Any], pids: list[int | OSError]) -> None:
        """Have each process object know its process. If one has none, the others are ended by whoever called."""
        error: OSError | None = None
        for process, pid in zip(made, pids, strict=False):
            if isinstance(pid, OSError):
                error = error or pid
                continue
            try:
                copied = _Copied(pid)
            except OSError as exc:
                _end(pid)
                error = error or exc
                continue
            process._Popen = lambda _, copied=copied: copied
            process.start()
            del process._Popen
            started.append(process)
        if error is not None:
            raise error

    def close(self) -> None:
        """End the template; the processes live on. Another `start` makes another one."""
        with self._lock:
            if self._template is not None and self._owner == os.getpid():
                self._template.end()
            self._template = None


class _Passed:
    """Descriptors for a child that is being spawned."""

    def __init__(self, fds: list[int]) -> None:
        self.fds = fds

    def __reduce__(self) -> tuple[Any, ...]:
        return _detach, (list(map(reduction.DupFd, self.fds)),)


def _detach(passed: list[Any]) -> list[int]:
    return [each.detach() for each in passed]


def _live_spawned(fds: list[int], target: Callable[..., Any], args: tuple[Any, ...], has_fds: bool) -> None:
    end, *fds = fds
    _processes.tie(end)
    _call(target, args, fds if has_fds else None)


class _Spawning(_Launcher):
    """Under "spawn" and "forkserver"."""

    def _start_each(
        self,
        started: list[BaseProcess],
        n: int,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        fds: Sequence[Sequence[int]] | None,
        name: str | None,
        daemon: bool | None,
    ) -> None:
        """One after another."""
        for at in range(n):
            copies: list[int] = []
            try:
                # A file of the child's own, open from its first instruction on: it is tied to the program before any of
                # its code runs. And copies, for the same number must not be passed twice.
                copies.append(os.open(f"/proc/self/fd/{_processes.lifeline()}", os.O_RDONLY | os.O_CLOEXEC))
                copies.extend(map(os.dup, fds[at] if fds else ()))
                spawned = (_Passed(copies), target, args, fds is not None)
                process = self._context.Process(target=_live_spawned, args=spawned, name=name, daemon=daemon)
                self._start(process)
                started.append(process)
                _tie(copies[0], process.pid)
            finally:
                util.close_fds(*copies)

    def _start(self, process: Any) -> None:
        until = time.monotonic() + _RESTART
        while process._popen is None:
            try:
                process.start()
            except (EOFError, ConnectionError, FileNotFoundError):
                # The fork server was killed, and only when it has ended altogether is there another one.
                if self._context.get_start_method() != "forkserver" or time.monotonic() > until:
                    raise
                time.sleep(0.005)
        process._popen.__class__ = _asked(type(process._popen))
        if self._context.get_start_method() == "spawn":
            # Unlike the end of a pipe, it doesn't wait for whoever the child has handed that on to.
            pidfd = os.pidfd_open(process.pid)
            os.dup2(pidfd, process.sentinel, inheritable=False)
            os.close(pidfd)


def _tie(fd: int, pid: int) -> None:
    """Have the kernel kill a child when the program ends, which is when `fd` of it becomes ready."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETOWN, pid)
    except ProcessLookupError:
        return  # it has ended already
    fcntl.fcntl(fd, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
