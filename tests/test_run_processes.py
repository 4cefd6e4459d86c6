"""`fenshen.run(main, processes=N)`: a loop in each of several processes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import documents
import fenshen
import pytest
from commands import PYTHON, end, needs_native, start

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

pytestmark = needs_native
PAGE = documents.ROOT / "docs" / "running.md"


async def which() -> tuple[int, int]:
    """Every process has one, and they meet."""
    await asyncio.sleep(0)
    return fenshen.process_number(), os.getpid()


async def fail_in(failing: tuple[int, ...], notes: Path) -> None:
    """Some fail when all have begun; the others wait to be cancelled."""
    number = fenshen.process_number()
    try:
        (notes / f"begun {number}").touch()
        while len(list(notes.glob("begun *"))) < 3:
            await asyncio.sleep(0.01)
        if number in failing:
            raise LookupError(number)
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        (notes / f"cancelled {number}").touch()
        if len(failing) == 1:
            raise
        raise KeyError(number) from None


async def die_in(dying: int, notes: Path) -> None:
    if fenshen.process_number() == dying:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        await asyncio.Event().wait()
    finally:
        (notes / f"cancelled {fenshen.process_number()}").touch()


async def exit_in(number: int) -> None:
    if fenshen.process_number() == number:
        raise SystemExit(7)
    await asyncio.Event().wait()


def children() -> int:
    return len(multiprocessing.active_children())


def test_results_in_order_of_number() -> None:
    before = children()
    found = fenshen.run(which, processes=3)
    assert [number for number, _ in found] == [0, 1, 2]
    assert len({os.getpid(), *(pid for _, pid in found)}) == 4
    assert children() == before
    assert fenshen.process_number() == 0


def test_one_process() -> None:
    ((number, pid),) = fenshen.run(which, processes=1)
    assert (number, pid == os.getpid()) == (0, False)


def test_the_first_failure_cancels_the_others(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        fenshen.run(functools.partial(fail_in, (1,), tmp_path), processes=3)
    assert [(type(exc), exc.args) for exc in caught.value.exceptions] == [(LookupError, (1,))]
    assert "in fail_in" in str(caught.value.exceptions[0].__cause__)
    assert sorted(path.name for path in tmp_path.glob("cancelled *")) == ["cancelled 0", "cancelled 2"]


def test_what_the_others_raise_is_there_too(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        fenshen.run(functools.partial(fail_in, (0, 0), tmp_path), processes=3)
    kinds = [(type(exc), exc.args) for exc in caught.value.exceptions]
    assert kinds == [(LookupError, (0,)), (KeyError, (1,)), (KeyError, (2,))]


def test_a_process_that_dies(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        fenshen.run(functools.partial(die_in, 1, tmp_path), processes=2)
    (died,) = caught.value.exceptions
    assert type(died).__name__ == "WorkerDied"
    assert "SIGKILL" in str(died)


def test_system_exit_is_the_programs() -> None:
    with pytest.raises(SystemExit) as caught:
        fenshen.run(functools.partial(exit_in, 1), processes=2)
    assert caught.value.code == 7


def test_what_is_no_main() -> None:
    coroutine = which()
    with pytest.raises(TypeError, match="coroutine function"):
        fenshen.run(coroutine, processes=2)  # type: ignore[call-overload]
    coroutine.close()
    with pytest.raises(ValueError, match="greater than 0"):
        fenshen.run(which, processes=0)
    with pytest.raises(ExceptionGroup) as caught:
        fenshen.run(os.getpid, processes=1)  # type: ignore[call-overload]
    assert "must return a coroutine" in str(caught.value.exceptions[0])


def test_options_reach_the_loops() -> None:
    async def main() -> tuple[bool, str]:
        loop = asyncio.get_running_loop()
        return loop.get_debug(), type(loop).__name__

    found = fenshen.run(main, processes=2, debug=True, loop_factory=asyncio.SelectorEventLoop)
    assert found[0][0] is True
    assert "Selector" in found[0][1]
    assert found[0] == found[1]


CLIENT = """
import socket, sys
for _ in range(2):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) as connection:
        print(connection.recv(100).decode())
"""


def test_an_inherited_socket_serves_in_all() -> None:
    """As a server's example has it: one listening socket, made before, and `fork`."""
    if multiprocessing.get_start_method() != "fork":
        pytest.skip("it is inherited by fork only")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        client = start([*PYTHON, "-c", CLIENT, str(sock.getsockname()[1])])

        async def main() -> int:
            served = asyncio.Event()

            async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(str(fenshen.process_number()).encode())
                writer.close()
                server.close()  # each serves one
                served.set()

            server = await asyncio.start_server(handle, sock=sock)
            await served.wait()
            return os.getpid()

        pids = fenshen.run(main, processes=2)
        assert len(set(pids)) == 2
        assert sorted(end(client).out.split()) == ["0", "1"]


async def started() -> str:
    """How a program that a process starts deals with signals."""
    words = "import signal; print([signal.getsignal(n).name for n in (signal.SIGTERM, signal.SIGUSR1)])"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", words, stdout=subprocess.PIPE)
    out, _ = await child.communicate()
    return out.decode().strip()


def test_programs_that_are_started_inherit_no_ignored_signal() -> None:
    found = fenshen.run(started, processes=1, shutdown_signals=[signal.SIGTERM, signal.SIGUSR1])
    assert found == ["['SIG_DFL', 'SIG_DFL']"]


# -- Signals ----------------------------------------------------------------------------------------------------------

SERVER = """
import asyncio, fenshen, os, signal, sys
def say(*words): os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def handle(reader, writer):
    say("taken")
    writer.write(b"bye " + await reader.readline())
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1]), reuse_port=True)
    say("ready")
    async with server:
        await server.serve_forever()

async def stubborn():
    try:
        say("ready")
        await fenshen.until_shutdown()
        say("told")
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.1)
        say("cleaned up")

if __name__ == "__main__":
    import multiprocessing
    multiprocessing.set_start_method(sys.argv[2])
    main, grace = {"main": main, "stubborn": stubborn}[sys.argv[3]], float(sys.argv[4])
    signals = (signal.SIGTERM, signal.SIGINT) if len(sys.argv) == 5 else ()
    say(fenshen.run(main, processes=2, shutdown_signals=signals, grace=grace))
"""


def program(tmp_path: Path, *words: object) -> subprocess.Popen[str]:
    path = tmp_path / "server.py"
    path.write_text(textwrap.dedent(SERVER))
    process = start([*PYTHON, str(path), *map(str, words)])
    assert [said(process), said(process)] == ["ready", "ready"]
    return process


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_servers_drain(tmp_path: Path, method: str) -> None:
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))  # nobody else gets the port, and it takes no connection
        address = kept.getsockname()
        process = program(tmp_path, address[1], method, "main", 1000)
        with socket.create_connection(address, timeout=60) as client:
            assert said(process) == "taken"
            process.send_signal(signal.SIGTERM)
            client.sendall(b"now\n")
            assert client.recv(100) == b"bye now\n"
        outcome = end(process)
    assert outcome.out.splitlines()[-1] == "[None, None]"
    assert (outcome.status, outcome.err) == (0, "")


def test_the_pages_server(tmp_path: Path) -> None:
    """The server of docs/running.md, on a port of ours."""
    (text,) = (block.text for block in documents.blocks(PAGE) if "start_server(handle, " in block.text)
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        address = kept.getsockname()
        path = tmp_path / "server.py"
        path.write_text(text.replace("8080", str(address[1])))
        process = start([*PYTHON, str(path)])
        found: set[bytes] = set()
        try:
            patience = time.monotonic() + 60
            while len(found) < 2 and time.monotonic() < patience:
                with contextlib.suppress(ConnectionError), socket.create_connection(address, timeout=60) as client:
                    client.sendall(b"hello\n")
                    found.add(client.makefile("rb").readline())
        finally:
            process.send_signal(signal.SIGTERM)
            outcome = end(process)
    assert (outcome.status, outcome.err) == (0, "")
    answers = {b"process %d: hello\n" % number for number in range(4)}
    assert len(found & answers) > 1


def test_the_pages_worker(tmp_path: Path) -> None:
    (text,) = (block.text for block in documents.blocks(PAGE) if "async def worker(" in block.text)
    path = tmp_path / "worker.py"
    path.write_text(text.replace("    await fenshen.until", "    print('ready', flush=True)\n    await fenshen.until"))
    process = start([*PYTHON, str(path)])
    assert said(process) == "ready"
    process.send_signal(signal.SIGTERM)
    outcome = end(process)
    assert (outcome.status, outcome.err) == (0, "")


def test_what_a_terminal_sends_to_all_comes_once(tmp_path: Path) -> None:
    process = program(tmp_path, 0, "fork", "stubborn", 1000)
    os.killpg(process.pid, signal.SIGINT)
    assert [said(process), said(process)] == ["told", "told"]
    os.killpg(process.pid, signal.SIGINT)
    outcome = end(process)
    assert outcome.out.splitlines() == ["cleaned up", "cleaned up", "[None, None]"]
    assert (outcome.status, outcome.err) == (0, "")


def test_grace_ends_in_all(tmp_path: Path) -> None:
    process = program(tmp_path, 0, "fork", "stubborn", 0.3)
    process.send_signal(signal.SIGTERM)
    outcome = end(process)
    assert outcome.out.splitlines() == ["told", "told", "cleaned up", "cleaned up", "[None, None]"]
    assert outcome.status == 0, outcome.err


def test_ctrl_c_cancels_all(tmp_path: Path) -> None:
    process = program(tmp_path, 0, "fork", "stubborn", 1000, "no signals")
    os.killpg(process.pid, signal.SIGINT)
    outcome = end(process)
    assert outcome.out.splitlines() == ["cleaned up", "cleaned up"]
    assert outcome.err.rstrip().endswith("KeyboardInterrupt")
    assert outcome.status == -signal.SIGINT


def test_without_the_parent_none_is_left(tmp_path: Path) -> None:
    process = program(tmp_path, 0, "fork", "stubborn", 1000)
    process.kill()
    outcome = end(process)  # its output ends when the last of them has
    assert outcome.out == ""
    assert outcome.status == -signal.SIGKILL
