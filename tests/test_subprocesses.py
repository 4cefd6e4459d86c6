"""Child processes: events, statuses and signals as asyncio has them, from any thread, and none lost or left behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import fenshen
import pytest
from commands import PYTHON, run
from fenshen import subprocesses
from sockets import OURS, Loop, both
from test_leaks import descriptors
from twins import logged, plain

Main = Callable[[Loop], Awaitable[Any]]
with_watchers = pytest.mark.skipif(sys.version_info >= (3, 14), reason="up to Python 3.13 there are child watchers")


@contextlib.contextmanager
def no_children() -> Iterator[None]:
    """Nothing of this test may be left of its children: no zombie, no process, no descriptor."""
    gc.collect()
    files = descriptors()
    yield
    gc.collect()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert descriptors() == files


def alone(main: Main) -> Any:
    """Run on a loop of ours, after which nothing may be left."""
    with no_children():
        return OURS(main)


class Log(asyncio.SubprocessProtocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.over = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.events.append("made")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.events.append((fd, data))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self.events.append((fd, "lost", type(exc)))

    def process_exited(self) -> None:
        self.events.append(("exited", self.transport.get_returncode()))

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(("over", exc))
        self.over.set_result(None)

    def of(self, fd: int) -> list[Any]:
        """What came by one descriptor, its data in one piece."""
        mine = [event for event in self.events if event[0] == fd]
        data = b"".join(event[1] for event in mine if len(event) == 2)
        return [data, *(event for event in mine if len(event) == 3)]


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.001)


def until_zombie(pid: int) -> None:
    """Wait until a child has ended, without taking its status."""
    with contextlib.suppress(ChildProcessError):  # a thread of asyncio's may have taken it
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def before_watching(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], Any]) -> None:
    """Have something happen to a child between its start and its being watched."""
    opens = os.pidfd_open

    def pidfd_open(pid: int, flags: int = 0) -> int:
        act(pid)
        return opens(pid, flags)

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)


# -- As asyncio has it ------------------------------------------------------------------------------------------------


@both
def test_the_order_of_events(run: Callable[[Main], Any]) -> None:
    async def main(loop: Loop) -> Any:
        transport, log = await loop.subprocess_exec(Log, "sh", "-c", "read x; echo out $x; echo err >&2; exit 3")
        assert transport.get_pid() > 0
        assert transport.get_returncode() is None
        assert log.events == ["made"]
        transport.get_pipe_transport(0).write(b"word\n")
        await log.over
        assert transport.get_returncode() == 3
        assert transport.get_pipe_transport(7) is None
        assert log.of(1) == [b"out word\n", (1, "lost", type(None))]
        assert log.of(2) == [b"err\n", (2, "lost", type(None))]
        assert log.events[0] == "made"
        assert log.events[-1] == ("over", None)
        assert log.events.count(("exited", 3)) == 1
        transport.close()
        return [event[1:] for event in log.events if event[0] == 0]

    # By chance the write end learns of its end from a write or from the kernel, but it does once.
    assert len(run(main)) == 1


@both
def test_data_that_come_before_the_connection_is_made(run: Callable[[Main], Any]) -> None:
    async def main(loop: Loop) -> None:
        starts = []

        class Late(Log):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                starts.append(len(self.events))

        transport, log = await loop.subprocess_exec(Late, "echo", "early", stdin=subprocess.DEVNULL)
        until_zombie(transport.get_pid())
        await log.over
        assert starts == [1]
        assert log.of(1) == [b"early\n", (1, "lost", type(None))]
        transport.close()

    run(main)


@both
@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9), ("kill $$", -15)])
def test_statuses(run: Callable[[Main], Any], script: str, status: int) -> None:
    async def main(loop: Loop) -> None:
        process = await asyncio.create_subprocess_shell(script)
        assert process.returncode in (None, status)
        assert await process.wait() == status
        assert await process.wait() == status
        assert process.returncode == status
        assert await process.communicate() == (None, None)

    run(main)


@both
def test_communicate(run: Callable[[Main], Any]) -> None:
    async def main(loop: Loop) -> None:
        process = await asyncio.create_subprocess_shell("cat; echo end >&2", stdin=PIPE, stdout=PIPE, stderr=PIPE)
        sent = os.urandom(300_000)
        assert await process.communicate(sent) == (sent, b"end\n")
        process = await asyncio.create_subprocess_shell("true", stdin=PIPE, stdout=PIPE, stderr=subprocess.STDOUT)
        assert await process.communicate(b"x" * 300_000) == (b"", None)
        assert process.returncode == 0

    run(main)


@both
def test_a_program_that_is_not_there(run: Callable[[Main], Any]) -> None:
    async def main(loop: Loop) -> None:
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/no/such/program", stdin=PIPE, stdout=PIPE)
        with pytest.raises(PermissionError):
            await asyncio.create_subprocess_exec("/", stdin=PIPE)

    run(main)


def test_how_it_shows_itself() -> None:
    async def main(loop: Loop) -> list[str]:
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
        transport: Any = process._transport
        shown = [plain(transport).replace(str(process.pid), "PID").split(" stdin=")[0], repr(process)]
        assert f"stdin={transport.get_pipe_transport(0)!r}" in repr(transport)
        assert isinstance(transport, asyncio.SubprocessTransport)
        assert transport.get_extra_info("subprocess").pid == process.pid
        await process.communicate(b"")
        shown.append(plain(transport).replace(str(process.pid), "PID").split(" stdin=")[0])
        return shown

    shown = OURS(main)
    assert shown[0] == "<SubprocessTransport pid=PID running"
    assert shown[1].startswith("<Process ")
    assert shown[2] == "<SubprocessTransport closed pid=PID returncode=0"


# -- Signals ----------------------------------------------------------------------------------------------------------


@both
def test_signals(run: Callable[[Main], Any]) -> None:
    async def main(loop: Loop) -> None:
        for send, status in (
            (lambda p: p.terminate(), -signal.SIGTERM),
            (lambda p: p.kill(), -signal.SIGKILL),
            (lambda p: p.send_signal(signal.SIGUSR1), -signal.SIGUSR1),
        ):
            process = await asyncio.create_subprocess_exec("sleep", "100")
            send(process)
            assert await process.wait() == status

    run(main)


@both
def test_a_child_that_ignores_sigterm(run: Callable[[Main], Any]) -> None:
    async def main(loop: Loop) -> None:
        script = "trap '' TERM; echo ready; while :; do sleep 0.01; done"
        process = await asyncio.create_subprocess_shell(script, stdout=PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        process.terminate()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), 0.1)
        assert process.returncode is None
        process.kill()
        assert await process.stdout.read() == b""
        assert await process.wait() == -9

    run(main)


def test_a_signal_to_a_child_that_has_ended() -> None:
    async def main(loop: Loop) -> None:
        transport, log = await loop.subprocess_exec(Log, "true", stdin=None, stdout=None, stderr=None)
        until_zombie(transport.get_pid())
        transport.send_signal(signal.SIGTERM)  # it has not been told yet
        while transport.get_returncode() is None:
            await asyncio.sleep(0)
        transport.kill()  # now it has
        await log.over
        with pytest.raises(ProcessLookupError):
            transport.terminate()
        assert transport.get_returncode() == 0

    alone(main)


def test_a_signal_while_a_thread_waits_for_the_same_child() -> None:
    async def main(loop: Loop) -> None:
        process = await asyncio.create_subprocess_exec("sleep", "100")
        popen = process._transport.get_extra_info("subprocess")
        waiting = loop.run_in_executor(None, popen.wait)
        until(popen._waitpid_lock.locked)
        process.kill()
        assert await waiting == -9
        assert await process.wait() == -9

    alone(main)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS])
def test_where_pidfd_send_signal_is_refused(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    async def main(loop: Loop) -> None:
        process = await asyncio.create_subprocess_exec("sleep", "100")
        monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
        process.terminate()
        assert await process.wait() == -15

    alone(main)


# -- Statuses are taken once, and never lost --------------------------------------------------------------------------


def test_a_child_that_ends_before_it_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(loop: Loop) -> None:
        for status in range(5):
            process = await asyncio.create_subprocess_shell(f"echo x; exit {status}", stdout=PIPE)
            assert await process.communicate() == (b"x\n", None)
            assert process.returncode == status

    before_watching(monkeypatch, until_zombie)
    alone(main)


WARNING = "child process pid PID exit status already read:  will report returncode 255"


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_status_that_the_program_has_taken(monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    taken: list[tuple[int, int]] = []

    async def main(loop: Loop) -> None:
        process = await asyncio.create_subprocess_shell("read x; exit 3", stdin=subprocess.DEVNULL if before else PIPE)
        if process.stdin is not None:
            process.stdin.write(b"\n")
            taken.append(os.waitpid(-1, 0))
        assert await process.wait() == 255
        assert taken == [(process.pid, 3 << 8)]

    if before:
        before_watching(monkeypatch, lambda pid: taken.append(os.waitpid(-1, 0)))
    with logged() as lines:
        alone(main)
    assert lines == [WARNING.replace("PID", str(taken[0][0]))]


def test_where_the_program_ignores_sigchld() -> None:
    async def main(loop: Loop) -> None:
        for program in ("true", "cat"):
            process = await asyncio.create_subprocess_exec(program, stdin=PIPE, stdout=PIPE)
            assert await process.communicate(b"") == (b"", None)
            assert process.returncode == 255

    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with logged() as lines:
            alone(main)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert len(lines) == 2


@pytest.mark.parametrize("ask", ["poll", "wait"])
def test_a_status_that_was_asked_of_the_popen_object(ask: str) -> None:
    async def main(loop: Loop) -> None:
        process = await asyncio.create_subprocess_shell("exit 3")
        popen = process._transport.get_extra_info("subprocess")
        until_zombie(process.pid)
        assert getattr(popen, ask)() == 3
        assert await process.wait() == 3

    with logged() as lines:
        alone(main)
    assert lines == []


def test_many_loops_in_many_threads() -> None:
    found: dict[int, list[int]] = {}
    threads: set[str] = set()

    async def child(number: int) -> int:
        process = await asyncio.create_subprocess_shell(f"cat; exit {number}", stdin=PIPE, stdout=PIPE)
        sent = str(number).encode() * 1000
        threads.update(thread.name for thread in threading.enumerate())
        assert await process.communicate(sent) == (sent, None)
        assert process.returncode is not None
        return process.returncode

    def work(place: int) -> None:
        async def main(loop: Loop) -> list[int]:
            return await asyncio.gather(*[child(place * 10 + i) for i in range(10)])

        found[place] = OURS(main)

    with no_children():
        workers = [threading.Thread(target=work, args=(place,)) for place in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
    assert found == {place: [place * 10 + i for i in range(10)] for place in range(4)}
    assert not any("waitpid" in name for name in threads)


def test_a_loop_that_closes_before_its_child_ends() -> None:
    with no_children(), logged() as lines, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop = fenshen.new_event_loop()
        process = loop.run_until_complete(asyncio.wait_for(_start(loop, "sleep", "100"), 20))
        pid = process.get_pid()
        loop.close()
        popen = process.get_extra_info("subprocess")
        assert popen.poll() is None
        del process, loop
        gc.collect()
        assert popen.wait(20) == -9
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert lines == []


async def _start(loop: Loop, *command: str) -> Any:
    return (await loop.subprocess_exec(Log, *command, stdin=None, stdout=None, stderr=None))[0]


# -- Cancelling, closing, failing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", range(5))
def test_a_start_that_is_cancelled(turns: int) -> None:
    async def main(loop: Loop) -> None:
        task = loop.create_task(asyncio.create_subprocess_exec("sleep", "100", stdin=PIPE, stdout=PIPE, stderr=PIPE))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            process = await task
        except asyncio.CancelledError:
            return
        process.kill()
        await process.communicate(b"")

    alone(main)


def test_closing_kills_and_closes_the_pipes() -> None:
    async def main(loop: Loop) -> None:
        transport, log = await loop.subprocess_exec(Log, "cat")
        assert not transport.is_closing()
        transport.close()
        transport.close()
        assert transport.is_closing()
        await log.over
        assert transport.get_returncode() in (-9, 0)  # its input has ended as well
        assert sorted(event[0] for event in log.events if event[1] == "lost") == [0, 1, 2]

    alone(main)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_pipe_that_cannot_be_connected(monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    async def main(loop: Loop) -> list[str]:
        events: list[Any] = []
        made = [0]

        def counting(make: Any) -> Any:
            def wrapper(*args: Any) -> Any:
                made[0] += 1
                if made[0] > failing:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return make(*args)

            return wrapper

        for name in ("_make_read_pipe_transport", "_make_write_pipe_transport"):
            setattr(loop, name, counting(getattr(loop, name)))
        with pytest.raises(OSError, match="No space left"):
            await loop.subprocess_exec(lambda: Log.__new__(Log), "sleep", "100")
        return events

    with logged() as lines:
        assert alone(main) == []
    assert lines == []


def test_a_protocol_that_fails() -> None:
    async def main(loop: Loop) -> list[str]:
        messages: list[str] = []
        loop.set_exception_handler(lambda _, context: messages.append(type(context["exception"]).__name__))

        class Fails(Log):
            def pipe_data_received(self, fd: int, data: bytes) -> None:
                raise KeyError(fd)

            def process_exited(self) -> None:
                raise IndexError

        transport, log = await loop.subprocess_exec(Fails, "echo", "x")
        await log.over
        assert transport.get_returncode() == 0
        transport.close()
        return sorted(messages)

    assert alone(main) == ["IndexError", "KeyError"]


# -- Where the kernel refuses a descriptor ----------------------------------------------------------------------------


def refuse_pidfd(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pidfd_open", refuse)


@pytest.mark.parametrize("how", ["refused", "absent"])
def test_without_pidfd(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    async def main(loop: Loop) -> None:
        processes = [await asyncio.create_subprocess_shell(f"cat; exit {i}", stdin=PIPE, stdout=PIPE) for i in range(5)]
        assert sum("waitpid" in thread.name for thread in threading.enumerate()) == 5
        for i, process in enumerate(processes):
            assert await process.communicate(b"x") == (b"x", None)
            assert process.returncode == i
        process = await asyncio.create_subprocess_exec("sleep", "100")
        process.terminate()
        assert await process.wait() == -15

    if how == "refused":
        refuse_pidfd(monkeypatch, errno.ENOSYS)
    else:
        monkeypatch.setattr(subprocesses, "_HAS_PIDFD", False)
    alone(main)


def test_without_pidfd_a_loop_that_closes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_pidfd(monkeypatch, errno.EPERM)
    with no_children(), logged() as lines, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop = fenshen.new_event_loop()
        transport = loop.run_until_complete(asyncio.wait_for(_start(loop, "sleep", "100"), 20))
        loop.close()
        transport.kill()
        until(lambda: transport.get_extra_info("subprocess").returncode == -9)
        until(lambda: len(lines) == 1)
        transport._closed = True
    assert f"that handles pid {transport.get_pid()} is closed" in lines[0]


# -- Child watchers ---------------------------------------------------------------------------------------------------


@with_watchers
def test_no_child_watcher_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(type(asyncio.get_event_loop_policy()), "get_child_watcher", refuse)

    async def main(loop: Loop) -> None:
        process = await asyncio.create_subprocess_shell("exit 4")
        assert await process.wait() == 4

    alone(main)


@with_watchers
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_watcher_that_the_program_has_written_is_asked() -> None:
    asked: list[int] = []

    class Watcher(asyncio.AbstractChildWatcher):
        def add_child_handler(self, pid: int, callback: Any, *args: Any) -> None:
            asked.append(pid)
            asyncio.get_running_loop().call_later(0.01, self.look, pid, callback, args)

        def look(self, pid: int, callback: Any, args: Any) -> None:
            _, status = os.waitpid(pid, 0)
            callback(pid, os.waitstatus_to_exitcode(status), *args)

        def is_active(self) -> bool:
            return True

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            pass

        def attach_loop(self, loop: Any) -> None:
            pass

    async def main(loop: Loop) -> None:
        process = await asyncio.create_subprocess_shell("exit 4")
        assert await process.wait() == 4
        assert asked == [process.pid]

    asyncio.set_child_watcher(Watcher())
    try:
        alone(main)
    finally:
        asyncio.set_child_watcher(None)


@with_watchers
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("attached", [True, False], ids=["attached", "idle"])
def test_beside_a_watcher_that_takes_every_status(attached: bool) -> None:
    async def main(loop: Loop) -> None:
        watcher = asyncio.FastChildWatcher()
        asyncio.set_child_watcher(watcher)
        if attached:
            watcher.attach_loop(loop)
        try:
            for i in range(10):
                process = await asyncio.create_subprocess_shell(f"exit {i}")
                assert await process.wait() == i
        finally:
            asyncio.set_child_watcher(None)

    alone(main)


# -- Forks, leaks -----------------------------------------------------------------------------------------------------

FORKS = """
import asyncio, gc, os, sys, fenshen
from asyncio.subprocess import PIPE

async def main():
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    process.stdin.write(b"before\\n")
    assert await process.stdout.readline() == b"before\\n"
    pid = os.fork()
    if not pid:
        try:
            asyncio.get_running_loop().call_soon(print)
            process._transport.close()
        finally:
            sys.exit(5)
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        await asyncio.sleep(0.01)
    print(os.waitstatus_to_exitcode(ended[1]))
    process.stdin.write(b"after\\n")
    print(await asyncio.wait_for(process.stdout.readline(), 20))
    print(await asyncio.wait_for(process.communicate(b"end"), 20), process.returncode)

if sys.version_info >= (3, 12):
    asyncio.run(main(), loop_factory=fenshen.new_event_loop)
else:
    loop = fenshen.new_event_loop()
    loop.run_until_complete(main())
"""


def test_a_fork_while_a_child_runs(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(FORKS)
    outcome = run([*PYTHON, "-W", "ignore", "program.py"], cwd=tmp_path)
    assert outcome.out == "5\nb'after\\n'\n(b'end', None) 0\n", outcome.err
    assert outcome.status == 0


def test_many_leave_nothing() -> None:
    async def main(loop: Loop) -> None:
        for _ in range(20):
            results = await asyncio.gather(*[one(i) for i in range(5)])
            assert results == [(str(i).encode(), b"", i) for i in range(5)]
        left = [o for o in gc.get_objects() if isinstance(o, subprocesses.SubprocessTransport) and o._pidfd is not None]
        assert left == []

    async def one(number: int) -> tuple[bytes, bytes, int | None]:
        script = f"cat; exit {number}"
        process = await asyncio.create_subprocess_shell(script, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        out, err = await process.communicate(str(number).encode())
        return out, err, process.returncode

    alone(main)
    gc.collect()
    assert not [o for o in gc.get_objects() if isinstance(o, subprocesses.SubprocessTransport)]
