"""Child processes of an event loop, from any thread and without a child watcher.

A child is watched by a descriptor of its own (`pidfd_open(2)`) on the loop that started it. Its status is taken on that
loop, once, under the lock of its `subprocess.Popen`, so that whoever asks that object for it takes nothing away. Where
the kernel refuses such a descriptor a thread waits for the end of the child, as asyncio has it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal as signals
import subprocess
import sys
import threading
import warnings
from asyncio import events, unix_events
from asyncio.base_subprocess import ReadSubprocessPipeProto, WriteSubprocessPipeProto
from asyncio.log import logger
from asyncio.protocols import SubprocessProtocol
from typing import Any

__all__ = ["SubprocessTransport", "Subprocesses"]

_HAS_PIDFD = all(hasattr(m, name) for m, name in ((os, "pidfd_open"), (os, "P_PIDFD"), (signals, "pidfd_send_signal")))


class SubprocessTransport(unix_events._UnixSubprocessTransport):
    """asyncio's transport of a child process, with the child's end noticed by the loop itself."""

    _pidfd: int | None = None

    def _start(self, args: Any, shell: bool, stdin: Any, stdout: Any, stderr: Any, bufsize: int, **kwargs: Any) -> None:
        self._proc = subprocess.Popen(
            args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=bufsize, **kwargs
        )
        try:
            self._watch()
        except ProcessLookupError:  # somebody who waits for any child has met it already, or SIGCHLD is ignored
            self._loop.call_soon(self._ended)
        except OSError:
            name = f"fenshen-waitpid-{self._proc.pid}"
            threading.Thread(target=self._wait_in_thread, args=(self._loop,), name=name, daemon=True).start()

    def _watch(self) -> None:
        if not _HAS_PIDFD:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self._pidfd = os.pidfd_open(self._proc.pid)
        try:
            self._loop._add_reader(self._pidfd, self._ended)
        except BaseException:
            self._forget_pidfd()
            raise

    def _forget_pidfd(self, _close: Any = os.close) -> None:
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            _close(pidfd)

    def _wait_in_thread(self, loop: Any) -> None:
        """Wait until the child has ended, and leave its status to the loop, so that nobody signals another's number."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._proc.pid, os.WEXITED | os.WNOWAIT)
        try:
            loop.call_soon_threadsafe(self._ended)
        except RuntimeError:
            self._take_status()
            logger.warning("Loop %r that handles pid %r is closed", loop, self._proc.pid)

    def _ended(self) -> None:
        returncode = self._take_status()
        if returncode is None:
            return
        if self._pidfd is not None:
            self._loop._remove_reader(self._pidfd)
            self._forget_pidfd()
        self._process_exited(returncode)

    def _take_status(self) -> int | None:
        """The return code of the child; None if it has not ended after all. Never takes the status of another."""
        proc = self._proc
        with proc._waitpid_lock:
            if proc.returncode is None:
                kind, number = (os.P_PID, proc.pid) if self._pidfd is None else (os.P_PIDFD, self._pidfd)
                try:
                    status = os.waitid(kind, number, os.WEXITED | os.WNOHANG)
                except ChildProcessError:
                    proc.returncode = 255
                    logger.warning(
                        "child process pid %d exit status already read:  will report returncode 255", proc.pid
                    )
                else:
                    if status is not None:
                        ended = status.si_code == os.CLD_EXITED
                        proc.returncode = status.si_status if ended else -status.si_status
            return proc.returncode

    async def _connect_pipes(self, waiter: Any) -> None:
        """Connect the pipes, tell the protocol of that and of what has happened meanwhile, and wake `waiter`."""
        loop, proc = self._loop, self._proc
        try:
            if proc.stdin is not None:
                self._add_pipe(await loop.connect_write_pipe(lambda: WriteSubprocessPipeProto(self, 0), proc.stdin))
            if proc.stdout is not None:
                self._add_pipe(await loop.connect_read_pipe(lambda: ReadSubprocessPipeProto(self, 1), proc.stdout))
            if proc.stderr is not None:
                self._add_pipe(await loop.connect_read_pipe(lambda: ReadSubprocessPipeProto(self, 2), proc.stderr))
            loop.call_soon(self._protocol.connection_made, self)
            for callback, args in self._pending_calls:
                loop.call_soon(callback, *args)
            self._pending_calls = None
        except BaseException as e:
            self._give_up()
            if isinstance(e, (SystemExit, KeyboardInterrupt)):
                raise
            if waiter is not None and not waiter.cancelled():
                waiter.set_exception(e)
        else:
            if waiter is not None and not waiter.cancelled():
                waiter.set_result(None)

    def _add_pipe(self, connected: Any) -> None:
        _, protocol = connected
        self._pipes[protocol.fd] = protocol
        if self._closed:
            protocol.pipe.close()

    def _give_up(self) -> None:
        """Without its pipes nothing is left to do but to wait for the end of the child."""
        for fd, pipe in enumerate((self._proc.stdin, self._proc.stdout, self._proc.stderr)):
            protocol = self._pipes.get(fd)
            if protocol is not None:
                protocol.pipe.close()
            elif pipe is not None:
                del self._pipes[fd]
                pipe.close()
        self._protocol = SubprocessProtocol()
        self._pending_calls = None
        if self._finished:
            self._loop.call_soon(self._call_connection_lost, None)

    def send_signal(self, signal: int) -> None:
        """Send the child a signal, which is lost on one that has ended. ProcessLookupError once the transport is over.

        It goes by the child's descriptor: the number may be another's by now.
        """
        self._check_proc()
        if self._proc.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._pidfd is not None and self._send_by_pidfd(signal):
                return
            os.kill(self._proc.pid, signal)

    def _send_by_pidfd(self, signal: int) -> bool:
        try:
            signals.pidfd_send_signal(self._pidfd, signal)
        except ProcessLookupError:
            raise
        except OSError:  # a filter of system calls may refuse this one alone
            return False
        return True

    def terminate(self) -> None:
        """Send the child SIGTERM."""
        self.send_signal(signals.SIGTERM)

    def kill(self) -> None:
        """Send the child SIGKILL."""
        self.send_signal(signals.SIGKILL)

    def close(self) -> None:
        """Close the pipes, and kill the child if it has not ended."""
        if self._loop is not None and self._loop.is_closed():
            self._pipes = {}  # they cannot be told any more, and close with the last reference
        super().close()

    def __del__(self, _warn: Any = warnings.warn) -> None:
        try:
            super().__del__(_warn)
        finally:
            self._forget_pidfd()


class Subprocesses:
    """A loop's way of starting child processes."""

    async def _make_subprocess_transport(
        self, protocol, args, shell, stdin, stdout, stderr, bufsize, extra=None, **kwargs
    ):
        given = protocol, args, shell, stdin, stdout, stderr, bufsize
        if _has_own_watcher():
            return await super()._make_subprocess_transport(*given, extra=extra, **kwargs)
        waiter = self.create_future()
        transport = SubprocessTransport(self, *given, waiter=waiter, extra=extra, **kwargs)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport


def _has_own_watcher() -> bool:
    """Whether the program has put in a child watcher that cannot be passed by: one that it has written itself, or one
    that takes the status of every child there is."""
    if sys.version_info >= (3, 14):
        return False
    watcher = getattr(events.get_event_loop_policy(), "_watcher", None)
    if watcher is None:
        return False
    if type(watcher).__module__ != unix_events.__name__:
        return True
    return type(watcher).__name__ == "FastChildWatcher" and watcher.is_active()
