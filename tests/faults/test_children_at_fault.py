"""Child processes that will not end, do not start, or write a great deal."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from typing import Any

import pytest
from scenes import Notes, both, of, open_files, play, told, turns, until
from twins import OURS, resident

SIZE = (1 << 30) if os.environ.get("FENSHEN_SOAK") == "1" else (64 << 20)
DEAF = (
    "import signal,sys,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


async def deaf() -> Any:
    """A child that ignores SIGTERM, once it does."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", DEAF, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
    return process


def test_a_child_that_ignores_sigterm() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        process = await deaf()
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 0.3)
        except asyncio.TimeoutError:
            notes.append(f"it lives, {process.returncode}")
        process.kill()
        notes.append(f"{await asyncio.wait_for(process.wait(), 20)} {process.returncode}")
        for name in ("kill", "terminate"):
            try:
                getattr(process, name)()
            except ProcessLookupError:
                notes.append(f"{name}: it is gone")
        await turns(loop)

    notes = both(scene)
    assert notes[:2] == ["it lives, None", f"{-signal.SIGKILL} {-signal.SIGKILL}"]
    assert not of(notes, "left open")


def test_closing_its_transport_kills_it() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        process = await deaf()
        transport = process._transport
        transport.close()
        notes.append(f"closing {transport.is_closing()}")
        notes.append(f"{await asyncio.wait_for(process.wait(), 20)}")
        transport.close()
        await turns(loop)

    assert str(-signal.SIGKILL) in both(scene)


def test_one_that_is_left_running_when_the_loop_closes() -> None:
    """It is not left behind as a zombie of ours, nor are its pipes."""

    async def scene(loop: Any, notes: Notes) -> None:
        process = await deaf()
        notes.append(f"{process.pid}")

    notes = play(OURS, scene)
    pid = int(notes[0])
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
    assert not of(notes, "left open")
    assert not of(notes, "handler")


@pytest.mark.parametrize(
    "command", [["/no/such/program"], ["/"], ["/etc/passwd"], ["nul\0within"], ["x" * 5000]], ids=ascii
)
def test_a_program_that_does_not_start(command: list[str]) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        before = open_files()
        for options in ({}, {"stdin": -1, "stdout": -1, "stderr": -1}, {"cwd": "/no/such/folder"}):
            try:
                await loop.subprocess_exec(asyncio.SubprocessProtocol, *command, **options)
            except (OSError, ValueError) as e:
                notes.append(told(e))
        await turns(loop)
        notes.append(f"left {len(open_files() - before)}")

    notes = both(scene)
    assert notes[-1] == "left 0"
    assert len(notes) == 4


def test_shell_words_without_sense() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        for command in (5, None, ["ls"]):
            try:
                await loop.subprocess_shell(asyncio.SubprocessProtocol, command)
            except (ValueError, TypeError) as e:
                notes.append(told(e))
        for options in (
            {"shell": False},
            {"bufsize": 1},
            {"universal_newlines": True},
            {"text": True},
            {"encoding": "x"},
        ):
            try:
                await loop.subprocess_shell(asyncio.SubprocessProtocol, "true", **options)
            except (ValueError, TypeError) as e:
                notes.append(told(e))
        process = await asyncio.create_subprocess_shell("exit 7")
        notes.append(f"{await process.wait()}")
        process = await asyncio.create_subprocess_shell("no-such-command-at-all", stderr=asyncio.subprocess.DEVNULL)
        notes.append(f"{await process.wait()}")

    assert both(scene)[-2:] == ["7", "127"]


def test_a_great_deal_through_cat() -> None:
    """All of it arrives, as it was sent, and is never all in memory."""

    async def main(loop: Any, notes: Notes) -> None:
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        stdin, stdout = process.stdin, process.stdout
        block = bytes(range(256)) * 512
        before = resident()
        most = 0

        async def write() -> None:
            for _ in range(SIZE // len(block)):
                stdin.write(block)
                await stdin.drain()
            stdin.close()

        writing = asyncio.create_task(write())
        got, count = hashlib.blake2b(), 0
        while part := await stdout.read(1 << 18):
            got.update(part)
            count += len(part)
            most = max(most, resident())
        await writing
        expected = hashlib.blake2b()
        for _ in range(SIZE // len(block)):
            expected.update(block)
        notes.append(f"{count == SIZE} {got.digest() == expected.digest()} {await process.wait()}")
        notes.append(f"{most - before < 16 << 10}")

    async def unhurried(loop: Any, notes: Notes) -> None:
        await main(loop, notes)

    notes = play(OURS, unhurried)
    assert notes == ["True 0".replace("True", "True True"), "True"]


def test_a_child_that_closes_its_input_early() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", "exec <&-; echo closed; sleep 0.2", stdin=-1, stdout=-1
        )
        await process.stdout.readline()
        with_error = None
        try:
            for _ in range(20):
                process.stdin.write(b"x" * 100_000)
                await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as e:
            with_error = e
        notes.append(f"an error {with_error is not None}")
        notes.append(f"{await asyncio.wait_for(process.wait(), 20)}")
        out, _ = await process.communicate(b"more")
        notes.append(f"{out!r}")

    assert both(scene)[0] == "an error True"


def test_many_at_once() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        async def one(i: int) -> str:
            process = await asyncio.create_subprocess_exec("sh", "-c", f"cat; exit {i}", stdin=-1, stdout=-1)
            out, _ = await process.communicate(str(i).encode() * 100)
            return f"{out[:3]!r} {process.returncode}"

        notes += await asyncio.gather(*(one(i) for i in range(30)))
        await until(lambda: len(open_files()) < 200)

    notes = both(scene)
    assert notes[7] == "b'777' 7"
    assert not of(notes, "left open")
