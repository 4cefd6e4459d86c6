"""Shutting down in order: who is told of signals, and how a loop is brought to its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import textwrap
import threading
from pathlib import Path
from typing import Any

import fenshen
import pytest
from commands import PYTHON, end, start
from fenshen._draining import Drain
from fenshen._shutdown import register

HEAD = """
import asyncio, fenshen, os, signal, sys
def say(*words): print(*words, flush=True)
SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""


def program(tmp_path: Path, body: str) -> subprocess.Popen[str]:
    """A program that was started and has said that it is ready."""
    path = tmp_path / "program.py"
    path.write_text(HEAD + textwrap.dedent(body))
    process = start([*PYTHON, str(path)])
    assert said(process) == "ready"
    return process


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


# -- A program's end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_main_is_told(tmp_path: Path, number: signal.Signals) -> None:
    process = program(
        tmp_path,
        """
        async def main():
            say("ready")
            number = await fenshen.until_shutdown()
            return number, fenshen.shutdown_requested(), await fenshen.until_shutdown()

        say(fenshen.run(main(), shutdown_signals=SIGNALS))
        say(fenshen.shutdown_requested(), signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT).__name__)
        """,
    )
    process.send_signal(number)
    outcome = end(process)
    n = int(number)
    assert outcome.out.splitlines() == [f"({n}, True, {n})", "False 0 default_int_handler"]
    assert (outcome.status, outcome.err) == (0, "")


def test_a_server_ends_when_its_connections_have(tmp_path: Path) -> None:
    process = program(
        tmp_path,
        """
        async def handle(reader, writer):
            say("taken")
            writer.write(b"bye " + await reader.readline())
            await writer.drain()
            writer.close()

        async def main():
            server = await asyncio.start_server(handle, "127.0.0.1")
            say("ready")
            say(server.sockets[0].getsockname()[1])
            async with server:
                await server.serve_forever()

        say(fenshen.run(main(), shutdown_signals=SIGNALS, grace=1000))
        """,
    )
    address = ("127.0.0.1", int(said(process)))
    with socket.create_connection(address, timeout=60) as client:
        assert said(process) == "taken"
        process.send_signal(signal.SIGTERM)
        refused = None
        while refused is None:
            try:
                socket.create_connection(address, timeout=60).close()
            except ConnectionError as exc:
                refused = exc
        client.sendall(b"now\n")
        assert client.recv(100) == b"bye now\n"
    outcome = end(process)
    assert outcome.out.splitlines()[-1:] == ["None"]
    assert outcome.status == 0, outcome.err


def test_what_main_leaves_running_is_waited_for(tmp_path: Path) -> None:
    process = program(
        tmp_path,
        """
        async def job():
            await fenshen.until_shutdown()
            await asyncio.sleep(0.3)
            say("job done")

        async def main():
            main.job = asyncio.ensure_future(job())
            await asyncio.sleep(0)
            say("ready")
            await fenshen.until_shutdown()
            return "main done"

        say(fenshen.run(main(), shutdown_signals=SIGNALS, grace=1000))
        """,
    )
    process.send_signal(signal.SIGTERM)
    assert end(process).out.splitlines() == ["job done", "main done"]


FOR_EVER = """
async def job(name):
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.1)
        say(name, "cleaned up")

async def main():
    task = asyncio.ensure_future(job("job"))
    await asyncio.sleep(0)
    say("ready")
    await job("main")

say(fenshen.run(main(), shutdown_signals=SIGNALS, grace=GRACE))
"""


def test_grace_ends(tmp_path: Path) -> None:
    process = program(tmp_path, FOR_EVER.replace("GRACE", "0.3"))
    process.send_signal(signal.SIGTERM)
    outcome = end(process)
    assert sorted(outcome.out.splitlines()) == ["None", "job cleaned up", "main cleaned up"]
    assert outcome.status == 0, outcome.err


def test_a_second_signal_is_at_once(tmp_path: Path) -> None:
    process = program(
        tmp_path,
        "say_first = None\n"
        + FOR_EVER.replace("GRACE", "1000")
        .replace(
            'await job("main")',
            'loop = asyncio.get_running_loop(); told = asyncio.ensure_future(tell()); await job("main")',
        )
        .replace(
            "async def main", "async def tell():\n    await fenshen.until_shutdown()\n    say('told')\n\nasync def main"
        ),
    )
    process.send_signal(signal.SIGTERM)
    assert said(process) == "told"
    process.send_signal(signal.SIGTERM)
    assert sorted(end(process).out.splitlines()) == ["None", "job cleaned up", "main cleaned up"]


def test_a_third_ends_what_cannot_be_cancelled(tmp_path: Path) -> None:
    process = program(
        tmp_path,
        """
        async def main():
            say("ready")
            await fenshen.until_shutdown()
            say("first")
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    say("cancelled")

        fenshen.run(main(), shutdown_signals=SIGNALS, grace=1000)
        """,
    )
    for answer in ("first", "cancelled"):
        process.send_signal(signal.SIGTERM)
        assert said(process) == answer
    process.send_signal(signal.SIGTERM)
    assert end(process).status == -signal.SIGTERM


def test_an_error_is_raised_all_the_same(tmp_path: Path) -> None:
    process = program(
        tmp_path,
        """
        async def main():
            say("ready")
            await fenshen.until_shutdown()
            raise LookupError("at the end")

        fenshen.run(main(), shutdown_signals=SIGNALS)
        """,
    )
    process.send_signal(signal.SIGTERM)
    outcome = end(process)
    assert outcome.status == 1
    assert outcome.err.rstrip().endswith("LookupError: at the end")


def test_other_signals_are_as_ever(tmp_path: Path) -> None:
    process = program(
        tmp_path,
        """
        async def main():
            try:
                say("ready")
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                say("cancelled")
                raise

        fenshen.run(main(), shutdown_signals=[signal.SIGTERM])
        """,
    )
    process.send_signal(signal.SIGINT)
    outcome = end(process)
    assert outcome.out == "cancelled\n"
    assert outcome.err.rstrip().endswith("KeyboardInterrupt")


def test_without_a_signal_it_is_run() -> None:
    async def main(result: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    assert fenshen.run(main(5), shutdown_signals=[signal.SIGUSR1]) == 5
    with pytest.raises(LookupError):
        fenshen.run(main(LookupError()), shutdown_signals=[signal.SIGUSR1])
    with pytest.raises((ValueError, TypeError), match="coroutine"):
        fenshen.run(5, shutdown_signals=[signal.SIGUSR1])  # type: ignore[call-overload]
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_another_thread() -> None:
    found: list[BaseException] = []

    async def main() -> None:
        raise AssertionError

    def run() -> None:
        try:
            fenshen.run(main(), shutdown_signals=[signal.SIGUSR1])
        except ValueError as exc:
            found.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert "main thread" in str(found[0])


async def serve(begun: Any) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"taken")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1")
    begun(server.sockets[0].getsockname())
    async with server:
        await asyncio.wait_for(server.serve_forever(), 60)


@pytest.mark.parametrize("factory", [None, asyncio.new_event_loop])
def test_a_server_that_comes_too_late_takes_nobody(factory: Any) -> None:
    clients = []
    drain = Drain(1000)
    drain.begin()

    def connect(address: Any) -> None:
        clients.append(socket.create_connection(address, timeout=60))

    assert fenshen.run(drain.run(serve(connect)), loop_factory=factory) is None
    (client,) = clients
    with client, contextlib.suppress(ConnectionError):
        assert client.recv(1) == b""


@pytest.mark.parametrize("factory", [None, asyncio.new_event_loop])
def test_a_server_that_does_not_serve_yet(factory: Any) -> None:
    drain = Drain(1000)
    assert fenshen.run(drain.run(serve(lambda _: drain.begin())), loop_factory=factory) is None


@pytest.mark.parametrize("factory", [None, asyncio.new_event_loop])
def test_a_server_that_nobody_serves_forever_is_closed_when_main_is_told(factory: Any) -> None:
    async def main() -> list[Any]:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1")
        address = server.sockets[0].getsockname()
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        await fenshen.until_shutdown()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=60)
        return [server.is_serving(), server.sockets]

    found = fenshen.run(asyncio.wait_for(main(), 60), shutdown_signals=[signal.SIGUSR1], loop_factory=factory)
    assert found == [False, ()]


@pytest.mark.parametrize("factory", [None, asyncio.new_event_loop])
def test_a_server_that_was_closed_may_be_served_for_ever_later(factory: Any) -> None:
    drain = Drain(1000)

    async def main() -> str:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1")
        drain.begin()
        while server.is_serving():
            await asyncio.sleep(0)
        async with server:
            with pytest.raises(asyncio.CancelledError):
                await server.serve_forever()
        return "main done"

    assert fenshen.run(drain.run(asyncio.wait_for(main(), 60)), loop_factory=factory) == "main done"


@pytest.mark.parametrize("factory", [None, asyncio.new_event_loop])
def test_a_server_that_starts_only_in_serve_forever(factory: Any) -> None:
    drain = Drain(1000)

    async def main() -> str:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", start_serving=False)
        drain.begin()
        await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await server.serve_forever()
        return "main done"

    assert fenshen.run(drain.run(asyncio.wait_for(main(), 60)), loop_factory=factory) == "main done"


def test_the_end_before_the_beginning() -> None:
    drain = Drain(0.1)
    drain.end()
    assert fenshen.run(drain.run(asyncio.wait_for(asyncio.sleep(1000), 60))) is None


# -- Who is told ------------------------------------------------------------------------------------------------------


def test_first_and_later_ones() -> None:
    told: list[Any] = []
    before = signal.getsignal(signal.SIGUSR1)
    with register([signal.SIGUSR1, signal.SIGUSR2], lambda n: told.append(("first", n)), told.append) as asked:
        assert not fenshen.shutdown_requested()
        assert asked.signal is None
        signal.raise_signal(signal.SIGUSR1)
        assert fenshen.shutdown_requested()
        signal.raise_signal(signal.SIGUSR2)
        assert asked.signal == signal.SIGUSR1
        assert told == [("first", signal.SIGUSR1), signal.SIGUSR2]
        assert signal.getsignal(signal.SIGUSR2) is before, "a third one is nobody's"
    assert not fenshen.shutdown_requested()
    assert signal.getsignal(signal.SIGUSR1) is before


def test_several_at_once() -> None:
    told: list[str] = []
    mine = lambda *_: told.append("mine")  # noqa: E731
    before = signal.signal(signal.SIGUSR1, mine)
    try:
        outer = register([signal.SIGUSR1], lambda _: told.append("outer"), lambda _: told.append("outer again"))
        signal.raise_signal(signal.SIGUSR1)
        inner = register([signal.SIGUSR1], lambda _: told.append("inner"))
        signal.raise_signal(signal.SIGUSR1)
        assert told == ["outer", "outer again", "inner"]
        inner.close()
        signal.raise_signal(signal.SIGUSR1)
        assert told[3:] == ["outer again"]
        outer.close()
        outer.close()
        signal.raise_signal(signal.SIGUSR1)
        assert told[4:] == ["mine"]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_was_set_meanwhile_stays() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    mine = lambda *_: None  # noqa: E731
    try:
        with register([signal.SIGUSR1], print):
            signal.signal(signal.SIGUSR1, mine)
        assert signal.getsignal(signal.SIGUSR1) is mine
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_forked_child_is_not_told() -> None:
    with register([signal.SIGUSR1], lambda _: None):
        signal.raise_signal(signal.SIGUSR1)
        child = os.fork()
        if child == 0:
            as_before = signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
            os._exit(0 if as_before and not fenshen.shutdown_requested() else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert fenshen.shutdown_requested()


def test_a_signal_that_cannot_be_handled() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with pytest.raises((ValueError, OSError)):
        register([signal.SIGUSR1, signal.SIGKILL], print)
    with pytest.raises(ValueError, match="signal"):
        register([signal.SIGUSR1, 4711], print)
    assert signal.getsignal(signal.SIGUSR1) is before
    assert not fenshen.shutdown_requested()


@pytest.mark.parametrize("factory", [None, asyncio.new_event_loop])
def test_on_a_loop_that_sleeps(factory: Any) -> None:
    async def main() -> tuple[int, str]:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[int] = loop.create_future()
        with register([signal.SIGUSR1], told.set_result, loop=loop):
            timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            number = await asyncio.wait_for(told, 60)
            timer.join()
        return number, threading.current_thread().name

    assert fenshen.run(main(), loop_factory=factory) == (signal.SIGUSR1, "MainThread")


def test_whoever_waits_and_is_cancelled() -> None:
    async def main() -> None:
        with register([signal.SIGUSR1], lambda _: None):
            given_up = asyncio.ensure_future(fenshen.until_shutdown())
            stays = asyncio.ensure_future(fenshen.until_shutdown())
            await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.wait([given_up])
            signal.raise_signal(signal.SIGUSR1)
            assert await asyncio.wait_for(stays, 60) == signal.SIGUSR1
            assert given_up.cancelled()

    fenshen.run(main())
