"""Transports of datagram sockets: what asyncio's do, ours must do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import sys
import warnings
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from datagrams import V4, Echo, Log, Run, each_family, end, pair, until
from fenshen import _fenshen
from sockets import OURS, Loop, both, ours
from test_leaks import descriptors
from twins import logged, on_both, plain

# -- There and back ---------------------------------------------------------------------------------------------------


@both
@each_family
@pytest.mark.parametrize("size", [1, 1024, 10_240, 65_000])
def test_echo(run: Run, address: tuple[str, int], size: int) -> None:
    async def main(loop: Loop) -> None:
        server, client = await pair(loop, address=address)
        where = server.transport.get_extra_info("sockname")
        assert len(where) == (2 if address == V4 else 4)
        sent = [bytes([i]) + os.urandom(size - 1) for i in range(5)]
        for data in sent:
            client.transport.sendto(data)
            await until(lambda data=data: client.got and client.got[-1][0] == data)
        assert client.got == [(data, where) for data in sent]
        assert isinstance(client.transport, asyncio.DatagramTransport) or sys.version_info < (3, 13)
        assert client.events == server.events == []
        await end(server, client)

    run(main)


@both
@each_family
def test_many_senders(run: Run, address: tuple[str, int]) -> None:
    async def main(loop: Loop) -> None:
        _, server = await loop.create_datagram_endpoint(Echo, local_addr=address)
        where = server.transport.get_extra_info("sockname")
        clients = [(await loop.create_datagram_endpoint(Log, local_addr=address))[1] for _ in range(100)]
        for turn in range(3):
            for i, client in enumerate(clients):
                client.transport.sendto(b"%d %d" % (turn, i), where if i % 2 else where[:2])
            await until(lambda turn=turn: all(len(client.got) == turn + 1 for client in clients))
        for i, client in enumerate(clients):
            assert client.got == [(b"%d %d" % (turn, i), where) for turn in range(3)]
        await end(server, *clients)

    run(main)


@both
def test_a_burst_arrives_in_order(run: Run) -> None:
    async def main(loop: Loop) -> None:
        server, client = await pair(loop, Log)
        sent = [b"%d" % i for i in range(200)]
        for data in sent:
            client.transport.sendto(data)
        await until(lambda: len(server.got) == 200)
        assert [data for data, _ in server.got] == sent
        await end(server, client)

    run(main)


@both
def test_what_a_datagram_schedules_comes_before_the_next_datagram(run: Run) -> None:
    async def main(loop: Loop) -> list[str]:
        order: list[str] = []

        class Schedules(Log):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                order.append(f"got {data.decode()}")
                loop.call_soon(order.append, f"ran {data.decode()}")

        server, client = await pair(loop, Schedules)
        for i in range(60):
            client.transport.sendto(b"%d" % i)
        await until(lambda: len(order) == 120)
        assert order == [f"{what} {i}" for i in range(60) for what in ("got", "ran")]
        await end(server, client)
        return order

    run(main)


@both
def test_closing_or_another_protocol_in_the_middle_of_a_burst(run: Run) -> None:
    async def main(loop: Loop) -> None:
        class Leaves(Log):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                super().datagram_received(data, addr)
                if len(self.got) == 150:
                    self.transport.set_protocol(other)
                    assert self.transport.get_protocol() is other

        class Closes(Log):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                super().datagram_received(data, addr)
                if len(self.got) == 20:
                    server.transport.close()

        other = Closes()
        server, client = await pair(loop, Leaves)
        for i in range(200):
            client.transport.sendto(b"%d" % i)
        assert await other.over is None
        assert [int(data) for data, _ in server.got + other.got] == list(range(170))
        await end(client)

    run(main)


@both
def test_unix_sockets(run: Run, tmp_path: Path) -> None:
    async def main(loop: Loop) -> None:
        paths = [str(tmp_path / name) for name in ("server", "cliënt")]
        family = socket.AF_UNIX
        _, server = await loop.create_datagram_endpoint(Echo, local_addr=paths[0], family=family)
        _, client = await loop.create_datagram_endpoint(Log, local_addr=paths[1], family=family)
        _, joined = await loop.create_datagram_endpoint(Log, paths[1] + "2", paths[0], family=family)
        assert server.transport.get_extra_info("sockname") == paths[0]
        assert joined.transport.get_extra_info("peername") == paths[0]
        big = os.urandom(100_000)
        for data in (b"x", big):
            client.transport.sendto(data, paths[0])
            joined.transport.sendto(data)
        await until(lambda: len(client.got) == len(joined.got) == 2)
        assert client.got == joined.got == [(b"x", paths[0]), (big, paths[0])]
        client.transport.sendto(b"y", paths[0].encode())
        client.transport.sendto(b"z", str(tmp_path / "nobody"))
        client.transport.sendto(b"z", "x" * 200)
        await until(lambda: len(client.got) == 3 and len(client.events) == 2)
        assert client.events == ["FileNotFoundError", "OSError"]
        await end(server, client, joined)

    run(main)


@both
def test_the_names_of_abstract_sockets(run: Run) -> None:
    async def main(loop: Loop) -> None:
        name = f"\0fenshen-{os.getpid()}-{id(loop)}"
        _, server = await loop.create_datagram_endpoint(Echo, local_addr=name, family=socket.AF_UNIX)
        _, client = await loop.create_datagram_endpoint(Log, local_addr=name + "2", family=socket.AF_UNIX)
        client.transport.sendto(b"x", name)
        client.transport.sendto(b"y", name.encode())
        await until(lambda: len(client.got) == 2)
        assert client.got == [(b"x", name.encode()), (b"y", name.encode())]
        assert server.transport.get_extra_info("sockname") == name.encode()
        await end(server, client)

    run(main)


def test_a_socket_pair_needs_no_address() -> None:
    async def main(loop: Loop) -> None:
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        (_, one), (_, two) = [await loop.create_datagram_endpoint(Log, sock=sock) for sock in (a, b)]
        one.transport.sendto(b"x")
        await until(lambda: two.got)
        assert two.got == [(b"x", None)]
        await end(one, two)

    OURS(main)


# -- What is sent, and where to ---------------------------------------------------------------------------------------


def test_words() -> None:
    def program(side: Any) -> list[str]:
        outcomes: list[str] = []

        async def main(loop: Loop) -> None:
            server, client = await pair(loop)
            loop.set_exception_handler(lambda _, c: outcomes.append(f"{c['message']}: {c['exception']!r}"))
            where = client.transport.get_extra_info("peername")
            for data, addr in (("text", None), (5, None), ([b"x"], None), (b"x", ("127.0.0.1", 1)), (b"x", where)):
                try:
                    client.transport.sendto(data, addr)
                except Exception as e:
                    outcomes.append(f"{type(e).__name__}: {e}".replace(str(where[1]), "PORT"))
            for wrong in (5, ("127.0.0.1",), ("127.0.0.1", "x"), ("127.0.0.1", 70000), (1, 2, 3), None):
                _, free = await loop.create_datagram_endpoint(Log, local_addr=V4)
                free.transport.sendto(b"x", wrong)
                outcomes.append(str(free.transport.is_closing()))
                if free.transport.is_closing():
                    outcomes.append(type(await free.over).__name__)
                else:
                    outcomes.append(str(free.events))
                    await end(free)
            await end(server, client)

        with contextlib.closing(side.new_loop()) as loop:
            loop.run_until_complete(asyncio.wait_for(main(loop), 30))
        return outcomes

    outcomes = on_both(program)
    assert outcomes[0] == "TypeError: data argument must be a bytes-like object, not 'str'"
    assert outcomes[3] == "ValueError: Invalid address: must be None or ('127.0.0.1', PORT)"


@both
def test_kinds_of_data_and_of_addresses(run: Run) -> None:
    async def main(loop: Loop) -> None:
        _, server = await loop.create_datagram_endpoint(Log, local_addr=V4)
        _, client = await loop.create_datagram_endpoint(Log, local_addr=V4)
        port = server.transport.get_extra_info("sockname")[1]

        class Port(int):
            pass

        sent = [b"a", bytearray(b"b"), memoryview(b"xcx")[1:2], b"d", b"e", b"f"]
        hosts = [("127.0.0.1", port), ("localhost", port), ("127.1", port), ("", port), ("127.0.0.1", Port(port))]
        for data, host in zip(sent, [*hosts, ["127.0.0.1", port]], strict=True):
            try:
                client.transport.sendto(data, host)
            except TypeError:
                assert isinstance(host, list)
        await until(lambda: len(server.got) + len(client.events) >= 5)
        assert [data for data, _ in server.got][:3] == [b"a", b"b", b"c"]
        await end(server)
        client.transport.abort()
        await client.over

    def quiet(loop: Any) -> Awaitable[Any]:
        loop.set_exception_handler(lambda *_: None)
        return main(loop)

    run(quiet)


@both
def test_empty_datagrams(run: Run) -> None:
    async def main(loop: Loop) -> None:
        server, client = await pair(loop, Log)
        client.transport.sendto(b"")
        client.transport.sendto(b"x")
        await until(lambda: server.got and server.got[-1][0] == b"x")
        assert [data for data, _ in server.got] == ([b"", b"x"] if sys.version_info >= (3, 13) else [b"x"])
        server.transport.get_extra_info("socket").getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"", server.transport.get_extra_info("sockname"))
            await until(lambda: server.got[-1][1] == ("127.0.0.1", other.getsockname()[1]))
        assert server.got[-1][0] == b""
        await end(server, client)

    run(main)


@both
def test_broadcast(run: Run) -> None:
    async def main(loop: Loop) -> None:
        _, server = await loop.create_datagram_endpoint(Log, local_addr=("0.0.0.0", 0))
        port = server.transport.get_extra_info("sockname")[1]
        _, client = await loop.create_datagram_endpoint(
            Log, remote_addr=("127.255.255.255", port), allow_broadcast=True
        )
        assert client.transport.get_extra_info("peername") is None
        client.transport.sendto(b"x")
        client.transport.sendto(b"y", ("127.255.255.255", port))
        with pytest.raises(ValueError, match="Invalid address"):
            client.transport.sendto(b"z", ("127.0.0.1", port))
        await until(lambda: len(server.got) == 2)
        _, silent = await loop.create_datagram_endpoint(Log, local_addr=V4)
        silent.transport.sendto(b"x", ("127.255.255.255", port))
        assert silent.events == ["PermissionError"]
        await end(server, client, silent)

    run(main)


# -- What goes wrong --------------------------------------------------------------------------------------------------


@both
def test_nobody_is_there(run: Run) -> None:
    async def main(loop: Loop) -> None:
        server, client = await pair(loop)
        await end(server)
        client.transport.sendto(b"x")
        await until(lambda: client.events)
        assert client.events == ["ConnectionRefusedError"]
        client.transport.sendto(b"x")
        await until(lambda: len(client.events) == 2)
        await end(client)

    run(main)


@both
def test_a_datagram_that_is_too_long(run: Run) -> None:
    async def main(loop: Loop) -> None:
        server, client = await pair(loop)
        client.transport.sendto(bytes(70_000))
        server.transport.sendto(bytes(70_000), ("127.0.0.1", 1))
        assert client.events == server.events == ["OSError"]
        await end(server, client)

    run(main)


@both
def test_a_protocol_that_fails(run: Run) -> None:
    async def main(loop: Loop) -> None:
        messages: list[str] = []
        loop.set_exception_handler(lambda _, context: messages.append(type(context["exception"]).__name__))

        class Fails(Log):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                super().datagram_received(data, addr)
                raise KeyError

            def error_received(self, exc: Exception) -> None:
                raise IndexError

        server, client = await pair(loop, Fails)
        for i in range(3):
            client.transport.sendto(b"x")
            await until(lambda i=i: len(server.got) == i + 1)
        assert messages == ["KeyError"] * 3
        with pytest.raises(IndexError):
            server.transport.sendto(bytes(70_000), ("127.0.0.1", 1))
        await end(server, client)

    run(main)


@ours  # asyncio of 3.13.0 counts wrongly what waits, and never resumes
def test_flow_control(run: Run, tmp_path: Path) -> None:
    async def main(loop: Loop) -> None:
        path = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slow:
            slow.bind(path)
            _, client = await loop.create_datagram_endpoint(Log, remote_addr=path, family=socket.AF_UNIX)
            transport, count = client.transport, 0
            assert transport.get_write_buffer_limits() == (16384, 65536)
            while not transport.get_write_buffer_size():
                transport.sendto(b"%d" % count)
                count += 1
            first = transport.get_write_buffer_size()
            assert client.events == []
            transport.set_write_buffer_limits(high=first + 100)
            while "pause" not in client.events:
                data = bytearray(b"%d" % count)
                transport.sendto(data)
                data[:] = b"changed"
                count += 1
            slow.setblocking(False)
            got: list[int] = []
            while len(got) < count:
                try:
                    got.append(int(slow.recv(100)))
                except BlockingIOError:
                    await asyncio.sleep(0)
            assert got == list(range(count))
            await until(lambda: client.events == ["pause", "resume"])
            await end(client)

    run(main)


@both
def test_closing_sends_what_waits_and_aborting_does_not(run: Run, tmp_path: Path) -> None:
    async def main(loop: Loop, how: str) -> None:
        path = str(tmp_path / f"{how}-{id(loop)}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slow:
            slow.bind(path)
            slow.setblocking(False)
            _, client = await loop.create_datagram_endpoint(Log, remote_addr=path, family=socket.AF_UNIX)
            count = 0
            while not client.transport.get_write_buffer_size():
                client.transport.sendto(b"%d" % count)
                count += 1
            getattr(client.transport, how)()
            assert client.transport.is_closing()
            if how == "abort":
                await client.over
            got = 0
            while got < count - (how == "abort"):
                try:
                    assert int(slow.recv(100)) == got
                    got += 1
                except BlockingIOError:
                    await asyncio.sleep(0)
            assert await client.over is None
            with pytest.raises(BlockingIOError):
                slow.recv(100)

    run(lambda loop: main(loop, "close"))
    run(lambda loop: main(loop, "abort"))


def test_sending_when_it_is_over() -> None:
    async def main(loop: Loop) -> None:
        server, client = await pair(loop)
        await end(server, client)
        with logged() as lines:
            for _ in range(6):
                client.transport.sendto(b"x")
                server.transport.sendto(b"x", V4)
        assert lines == ["socket.send() raised exception."] * 4
        client.transport.close()
        client.transport.abort()
        assert client.transport.get_protocol() is None

    OURS(main)


# -- How it shows itself, and what is left of it ----------------------------------------------------------------------


def test_how_it_shows_itself() -> None:
    def program(side: Any) -> list[str]:
        shown: list[str] = []

        async def main(loop: Loop) -> None:
            server, client = await pair(loop)
            fd = client.transport.get_extra_info("socket").fileno()

            def show() -> None:
                text = plain(client.transport).replace(f"fd={fd}", "fd=N").replace("_SelectorDatagram", "Datagram")
                shown.append(text.replace("selector_events.", "").replace("asyncio.", ""))

            show()
            shown.append(type(client.transport.get_extra_info("socket")).__name__)
            shown.append(str(client.transport.get_extra_info("nothing", "default")))
            shown.append(str(server.transport.get_extra_info("peername", "default")))
            client.transport.close()
            show()
            await client.over
            await asyncio.sleep(0)
            show()
            shown.append(str(client.transport.get_extra_info("sockname")[0]))
            await end(server)

        with contextlib.closing(side.new_loop()) as loop:
            loop.run_until_complete(asyncio.wait_for(main(loop), 30))
        return shown

    assert on_both(program)[0] == "<DatagramTransport fd=N read=polling write=<idle, bufsize=0>>"


def test_its_descriptor_is_its_own() -> None:
    async def main(loop: Loop) -> None:
        server, client = await pair(loop)
        sock = client.transport.get_extra_info("socket")
        with pytest.raises(RuntimeError, match="is used by transport"):
            loop.add_reader(sock.fileno(), print)
        await end(server, client)

    OURS(main)


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "dropped"])
def test_nothing_is_left(closed: bool) -> None:
    async def main(loop: Loop) -> None:
        server, client = await pair(loop)
        server.transport.itself = server.transport
        for i in range(50):
            client.transport.sendto(b"x")
            await until(lambda i=i: len(client.got) == i + 1)
        if closed:
            await end(server, client)

    files = descriptors()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        OURS(main)
        gc.collect()
    unclosed = [str(w.message) for w in caught if "unclosed transport" in str(w.message)]
    assert len(unclosed) == (0 if closed else 2)
    caught.clear()  # warnings hold what they are about
    gc.collect()
    assert descriptors() == files
    assert not [o for o in gc.get_objects() if isinstance(o, _fenshen.DatagramTransport)]
