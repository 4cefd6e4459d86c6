"""The statuses of child processes: taken once, never lost, from any thread, with and without the kernel's help."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from asyncio.subprocess import PIPE
from typing import Any

import fenshen
import pytest
from child_processes import Log, alone, before_watching, no_children, until, until_zombie
from fenshen import subprocesses
from sockets import OURS, Loop
from twins import logged

with_watchers = pytest.mark.skipif(sys.version_info >= (3, 14), reason="up to Python 3.13 there are child watchers")


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
