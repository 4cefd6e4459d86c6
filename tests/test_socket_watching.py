"""Operations on sockets and the loop's files: cancelling, closing, sharing, and registrations that are kept."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import fenshen
import pytest
from sockets import Loop, asleep, both, cancelled, ours, pair, tcp, turns


def watched(loop: Any) -> list[int]:
    return [fd for fd, *_ in loop._watched()]


@ours
def test_cancelling_ends_the_watch(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            full = loop.create_task(loop.sock_sendall(b, bytes(4_000_000)))
            receiving = loop.create_task(loop.sock_recv(b, 10))
            await asleep(receiving)
            assert watched(loop) == [b.fileno()]
            await cancelled(receiving)
            await cancelled(full)
            assert watched(loop) == []
            while True:
                try:
                    a.recv(1_000_000)
                except BlockingIOError:
                    break
            await loop.sock_sendall(a, b"later")
            assert await loop.sock_recv(b, 10) == b"later"

    run(main)


@ours
def test_a_cancelled_operation_loses_no_data(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            receiving = loop.create_task(loop.sock_recv(b, 10))
            await asleep(receiving)
            a.send(b"data")
            while not receiving.get_coro().cr_await.done():
                await asyncio.sleep(0)
                if receiving.done():
                    break
            receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                assert await receiving == b"data"
                return
            assert await loop.sock_recv(b, 10) == b"data"

    run(main)


@ours
def test_closing_the_coroutine(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            made = loop.sock_recv(a, 10)
            made.send(None)
            assert watched(loop) == [a.fileno()]
            made.close()
            assert watched(loop) == []
            with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                made.send(None)
            b.send(b"x")
            assert await loop.sock_recv(a, 10) == b"x"

    run(main)


@both
def test_a_socket_closed_while_it_is_waited_for(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            a.close()
            b.close()
            await turns()
            if not receiving.done():
                receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await receiving
        with pair() as (a, b):
            b.send(b"x")
            assert await loop.sock_recv(a, 10) == b"x"

    run(main)


@both
def test_a_number_that_comes_back_is_another_socket(run: Any) -> None:
    async def main(loop: Loop) -> None:
        seen = set()
        for i in range(200):
            with pair() as (a, b):
                seen.add(a.fileno())
                for _ in range(2):
                    receiving = loop.create_task(loop.sock_recv(a, 10))
                    await turns(3)
                    if i % 3 == 1:
                        b.send(b"x" * 10)
                    if i % 3 == 2:
                        await cancelled(receiving)
                        continue
                    b.send(b"y")
                    assert await receiving
        assert len(seen) < 10

    run(main)


@ours
def test_a_number_reused_while_the_old_operation_waits(run: Any) -> None:
    async def main(loop: Loop) -> None:
        a, b = socket.socketpair()
        a.setblocking(False)
        old = loop.create_task(loop.sock_recv(a, 10))
        await asleep(old)
        number = a.fileno()
        a.close()
        c, d = socket.socketpair()
        with b, c, d:
            assert c.fileno() == number
            c.setblocking(False)
            new = loop.create_task(loop.sock_recv(c, 10))
            await asleep(new)
            d.send(b"x")
            assert await new == b"x"
            with pytest.raises(OSError, match="Bad file descriptor"):
                await old

    run(main)


@ours
def test_another_file_put_under_a_socket(run: Any) -> None:
    """`os.dup2` takes the registration away, and no object shows it."""

    async def main(loop: Loop) -> None:
        with pair() as (a, b), pair() as (c, d):
            b.send(b"1")
            assert await loop.sock_recv(a, 10) == b"1"
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            b.send(b"2")
            assert await receiving == b"2"
            os.dup2(c.fileno(), a.fileno())
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            d.send(b"3")
            assert await asyncio.wait_for(receiving, 5) == b"3"

    run(main)


@ours
def test_two_receive_on_one_socket(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            first = loop.create_task(loop.sock_recv(a, 3))
            await asleep(first)
            second = loop.create_task(loop.sock_recv(a, 3))
            await asleep(second)
            b.send(b"123")
            assert await first == b"123"
            assert not second.done()
            b.send(b"456")
            assert await second == b"456"
            three = [loop.create_task(loop.sock_recv(a, 1)) for _ in range(3)]
            await asleep(three[0])
            three[1].cancel()
            b.send(b"78")
            assert (await three[0], await three[2]) == (b"7", b"8")

    run(main)


@both
def test_receiving_and_sending_at_once(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            data = os.urandom(3_000_000)

            async def receive(sock: socket.socket) -> bytes:
                got = bytearray()
                while len(got) < len(data):
                    got += await loop.sock_recv(sock, 100_000)
                return bytes(got)

            sends = [loop.sock_sendall(s, data) for s in (a, b)]
            got = await asyncio.gather(receive(a), receive(b), *sends)
            assert got[:2] == [data, data]

    run(main)


@both
def test_add_reader_and_receiving_in_turn(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            for i in range(20):
                future = loop.create_future()
                loop.add_reader(a, lambda future=future: future.done() or future.set_result(a.recv(10)))
                b.send(b"%d" % i)
                assert await future == b"%d" % i
                assert loop.remove_reader(a)
                receiving = loop.create_task(loop.sock_recv(a, 10))
                await turns(i % 4)
                b.send(b"x%d" % i)
                assert await receiving == b"x%d" % i
                assert not loop.remove_reader(a)

    run(main)


@ours
def test_a_reader_beside_an_operation(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            seen = []
            loop.add_writer(a, seen.append, 1)
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            assert loop.remove_writer(a)
            assert seen
            b.send(b"x")
            assert await receiving == b"x"

    run(main)


@ours
@pytest.mark.parametrize("after", ["nothing", "cancel", "close the other end"])
def test_a_kept_registration_does_not_spin(run: Any, after: str) -> None:
    async def main(loop: Loop) -> None:
        with tcp() as (a, b):
            for _ in range(3):
                b.send(b"x")
                receiving = loop.create_task(loop.sock_recv(a, 10))
                assert await receiving == b"x"
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            if after == "cancel":
                await cancelled(receiving)
            else:
                b.send(b"x")
                await receiving
            b.send(b"nobody reads this")
            if after == "close the other end":
                b.close()
            await asyncio.sleep(0.05)
            before = time.process_time()
            await asyncio.sleep(0.3)
            assert time.process_time() - before < 0.1
            assert await loop.sock_recv(a, 100) == b"nobody reads this"

    run(main)


@ours
def test_a_socket_that_lives_on_in_a_child_does_not_spin(run: Any) -> None:
    """The kernel goes on reporting a file that only the child holds; the loop starts a new set then."""

    async def main(loop: Loop) -> None:
        with tcp() as (other, other_end), tcp() as (a, b):
            waiting = loop.create_task(loop.sock_recv(other, 10))
            b.send(b"x")
            receiving = loop.create_task(loop.sock_recv(a, 10))
            assert await receiving == b"x"
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            b.send(b"x")
            await receiving
            child = os.fork()
            if not child:
                time.sleep(20)
                os._exit(0)
            try:
                a.close()
                b.send(b"for the child")
                await asyncio.sleep(0.05)
                before = time.process_time()
                await asyncio.sleep(0.3)
                assert time.process_time() - before < 0.1
                other_end.send(b"y")
                assert await waiting == b"y"
            finally:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

    run(main)


@ours
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_uses_the_loop(run: Any) -> None:
    """A loop that did not run at the fork goes on in the child, with registrations of its own."""
    loop = fenshen.new_event_loop()
    with contextlib.closing(loop), pair() as (a, b):

        async def echo(message: bytes) -> bytes:
            receiving = loop.create_task(loop.sock_recv(a, 100))
            await turns()
            await loop.sock_sendall(b, message)
            return await receiving

        assert loop.run_until_complete(echo(b"before")) == b"before"
        child = os.fork()
        if not child:
            try:
                os._exit(0 if loop.run_until_complete(asyncio.wait_for(echo(b"child"), 5)) == b"child" else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert loop.run_until_complete(echo(b"after")) == b"after"


@both
def test_data_from_another_thread(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            for i in range(20):
                threading.Timer(0.001 * (i % 3), b.send, [b"x"]).start()
                assert await loop.sock_recv(a, 10) == b"x"

    run(main)


@ours
def test_nothing_waits_by_a_kept_registration(run: Any) -> None:
    """What the loop keeps for later is nobody's wait."""

    async def main(loop: Any) -> None:
        with pair() as (a, b):
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asleep(receiving)
            assert loop._watched() == [(a.fileno(), True, False, False)]
            b.send(b"x")
            await receiving
            assert loop._watched() == []

    run(main)


@ours
def test_a_loop_that_only_waits_sleeps(run: Any) -> None:
    """A wait by a kept registration is confirmed once, not for ever."""

    async def main(loop: Loop) -> None:
        with pair() as (a, b):
            b.send(b"x")
            assert await loop.sock_recv(a, 10) == b"x"
            for _ in range(3):
                receiving = loop.create_task(loop.sock_recv(a, 10))
                await asleep(receiving)
                b.send(b"x")
                await receiving
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asyncio.sleep(0.2)
            before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
            threading.Timer(0.5, b.send, [b"y"]).start()
            assert await receiving == b"y"
            assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before < 20

    run(main)


@ours
def test_what_is_told_and_not_yet_fetched_keeps_its_registration(run: Any) -> None:
    """The kernel reports a file again before the operation that was told of it has come: that is nobody's surplus."""

    async def main(loop: Loop) -> None:
        connections = [socket.socketpair() for _ in range(200)]
        for ends in connections:
            for end in ends:
                end.setblocking(False)

        async def echo(sock: socket.socket) -> None:
            while message := await loop.sock_recv(sock, 100):
                time.sleep(0.00005)
                await loop.sock_sendall(sock, message)

        tasks = [loop.create_task(echo(a)) for a, _ in connections]
        for i in range(5):
            await asyncio.gather(*[loop.sock_sendall(b, b"%d" % i) for _, b in connections])
            answers = await asyncio.gather(*[loop.sock_recv(b, 100) for _, b in connections])
            assert answers == [b"%d" % i] * len(connections)
        for _, b in connections:
            b.close()
        await asyncio.gather(*tasks)
        for a, _ in connections:
            a.close()

    run(main)


PROGRAM = """
import asyncio, socket
async def main():
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair()
    a.setblocking(False)
    b.send(b"x")
    await loop.sock_recv(a, 10)
    receiving = loop.create_task(loop.sock_recv(a, 10))
    await asyncio.sleep(0.01)
    b.send(b"y")
    await receiving
    await loop.create_future()
asyncio.run(main())
"""


def test_a_kept_registration_hides_no_deadlock() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fenshen", "run", "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    assert "DeadlockError" in done.stderr
