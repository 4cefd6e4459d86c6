"""Child processes: events, signals and ends as asyncio has them, and nothing left behind."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from child_processes import Log, Main, alone, until, until_zombie
from commands import PYTHON, run
from fenshen import subprocesses
from sockets import OURS, Loop, both
from twins import logged, plain

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
