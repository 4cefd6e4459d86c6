"""Connecting, accepting, datagrams with addresses; and objects that are like sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any

import pytest
from sockets import Loop, asleep, both, pair, tcp


class Counting(socket.socket):
    """A socket whose own methods are to be asked."""

    calls = 0

    def recv(self, *args: Any) -> bytes:
        self.calls += 1
        return super().recv(*args)

    def send(self, *args: Any) -> int:
        self.calls += 1
        return super().send(*args)


@both
def test_overridden_methods_are_called(run: Any) -> None:
    async def main(loop: Loop) -> None:
        a, b = socket.socketpair()
        c = Counting(fileno=a.detach())
        with b, c:
            b.setblocking(False)
            c.setblocking(False)
            receiving = loop.create_task(loop.sock_recv(c, 10))
            await asleep(receiving)
            b.send(b"x")
            assert await receiving == b"x"
            assert c.calls >= 2
            data = os.urandom(3_000_000)
            sending = loop.create_task(loop.sock_sendall(c, memoryview(data)))
            got = bytearray()
            while len(got) < len(data):
                got += await loop.sock_recv(b, 100_000)
            await sending
            assert got == data

    run(main)


class Duck:
    """Not a socket at all, and not to be weakly referenced."""

    __slots__ = ("sock",)

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


@both
def test_anything_with_the_methods_will_do(run: Any) -> None:
    async def main(loop: Any) -> None:
        with pair() as (a, b):
            duck = Duck(a)
            for _ in range(3):
                receiving = loop.create_task(loop.sock_recv(duck, 10))
                await asleep(receiving)
                await loop.sock_sendall(b, b"x")
                assert await receiving == b"x"
                await loop.sock_sendall(duck, b"y")
                assert await loop.sock_recv(b, 10) == b"y"

    run(main)


@both
def test_methods_replaced_in_the_class_are_called(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "recv", lambda self, n: b"patched", raising=False)

    async def main(loop: Loop) -> None:
        with pair() as (a, _):
            assert await loop.sock_recv(a, 10) == b"patched"

    run(main)


@both
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_connecting_and_accepting(run: Any, family: socket.AddressFamily) -> None:
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"

    async def main(loop: Loop) -> None:
        with socket.create_server((host, 0), family=family) as server, socket.socket(family) as client:
            server.setblocking(False)
            client.setblocking(False)
            accepting = loop.create_task(loop.sock_accept(server))
            await asleep(accepting)
            assert await loop.sock_connect(client, server.getsockname()[:2]) is None
            connection, address = await accepting
            with connection:
                assert connection.gettimeout() == 0
                assert type(connection) is socket.socket
                assert address == client.getsockname()
                await loop.sock_sendall(client, b"x")
                assert await loop.sock_recv(connection, 10) == b"x"

    run(main)


@both
def test_many_connections(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
            server.setblocking(False)

            async def client(i: int) -> None:
                with socket.socket() as sock:
                    sock.setblocking(False)
                    await loop.sock_connect(sock, server.getsockname())
                    for j in range(10):
                        message = f"{i} {j}".encode()
                        await loop.sock_sendall(sock, message)
                        assert await loop.sock_recv(sock, 100) == message

            async def serve(connection: socket.socket) -> None:
                with connection:
                    while message := await loop.sock_recv(connection, 100):
                        await loop.sock_sendall(connection, message)

            clients = [loop.create_task(client(i)) for i in range(50)]
            servers = [loop.create_task(serve((await loop.sock_accept(server))[0])) for _ in clients]
            await asyncio.gather(*clients, *servers)

    run(main)


@both
def test_connecting_by_name(run: Any) -> None:
    async def main(loop: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("localhost", server.getsockname()[1]))
            assert client.getpeername() == server.getsockname()
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(socket.gaierror):
                await loop.sock_connect(client, ("no such host.invalid", 80))

    run(main)


@both
def test_a_refused_connection(run: Any) -> None:
    async def main(loop: Loop) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError) as caught:
                await loop.sock_connect(client, address)
            assert caught.value.errno == errno.ECONNREFUSED
            assert caught.value.args[1] == f"Connect call failed {address}"

    run(main)


@both
def test_unix_addresses(run: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "s")

    async def main(loop: Loop) -> None:
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            with pytest.raises(FileNotFoundError):
                await loop.sock_connect(client, path)
            server.bind(path)
            server.listen()
            server.setblocking(False)
            await loop.sock_connect(client, path)
            connection, _ = await loop.sock_accept(server)
            with connection:
                await loop.sock_sendall(connection, b"x")
                assert await loop.sock_recv(client, 10) == b"x"
        os.unlink(path)

    run(main)


@both
def test_connecting_is_cancelled(run: Any) -> None:
    async def main(loop: Any) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
            sockets = [socket.socket() for _ in range(10)]
            for sock in sockets:
                sock.setblocking(False)
            connecting = [loop.create_task(loop.sock_connect(s, server.getsockname())) for s in sockets]
            await asyncio.sleep(0.05)
            for task in connecting:
                task.cancel()
            await asyncio.gather(*connecting, return_exceptions=True)
            assert all(task.done() for task in connecting)
            for sock in sockets:
                sock.close()

    run(main)


@both
@pytest.mark.skipif(not hasattr(asyncio.SelectorEventLoop, "sock_sendto"), reason="asyncio has it from 3.11 on")
def test_udp(run: Any) -> None:
    async def main(loop: Any) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as a, socket.socket(type=socket.SOCK_DGRAM) as b:
            for sock in (a, b):
                sock.setblocking(False)
                sock.bind(("127.0.0.1", 0))
            receiving = loop.create_task(loop.sock_recvfrom(b, 100))
            await asleep(receiving)
            assert await loop.sock_sendto(a, b"hello", b.getsockname()) == 5
            assert await receiving == (b"hello", a.getsockname())
            buffer = bytearray(10)
            receiving = loop.create_task(loop.sock_recvfrom_into(b, buffer))
            await asleep(receiving)
            await loop.sock_sendto(a, b"again", b.getsockname())
            assert await receiving == (5, a.getsockname())
            assert buffer[:5] == b"again"
            await loop.sock_sendto(a, b"third", b.getsockname())
            assert await loop.sock_recvfrom_into(b, buffer, 3) == (3, a.getsockname())
            a.connect(b.getsockname())
            await loop.sock_sendall(a, b"x" * 60_000)
            assert len(await loop.sock_recv(b, 65_536)) == 60_000
            with pytest.raises(OSError) as caught:  # noqa: PT011
                await loop.sock_sendto(a, b"x" * 100_000, b.getsockname())
            assert caught.value.errno == errno.EMSGSIZE

    run(main)


@both
def test_sendfile_goes_by_the_same_socket(run: Any, tmp_path: Any) -> None:
    path = tmp_path / "file"
    data = os.urandom(2_000_000)
    path.write_bytes(data)

    async def main(loop: Loop) -> None:
        with tcp() as (a, b), path.open("rb") as file:
            await loop.sock_sendall(a, b"head")
            sending = loop.create_task(loop.sock_sendfile(a, file))
            got = bytearray()
            while len(got) < len(data) + 4:
                got += await loop.sock_recv(b, 100_000)
            assert await sending == len(data)
            assert got == b"head" + data

    run(main)
