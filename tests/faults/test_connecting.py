"""Connecting that fails, is refused, is cancelled; and a server that is out of descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from scenes import Notes, Noting, both, level, of, open_files, play, told, turns, until
from twins import ASYNCIO, OURS, Side


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def tried(notes: Notes, connecting: Any) -> None:
    """Note how an attempt to connect ended, and close what came of it."""
    try:
        transport, _ = await connecting
    except Exception as e:
        notes.append(f"raised {told(e)}")
    else:
        notes.append("connected")
        transport.abort()


@pytest.mark.parametrize("options", [{}, {"all_errors": True}, {"happy_eyeballs_delay": 0.1}], ids=str)
@pytest.mark.parametrize("addresses", [1, 2, 3])
def test_refused(addresses: int, options: dict[str, Any]) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        port = closed_port()

        async def several(host: str, *_: Any, **__: Any) -> Any:
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{i + 1}", port)) for i in range(addresses)]
            return found

        loop.getaddrinfo = several
        try:
            await tried(notes, loop.create_connection(lambda: Noting(notes), "example.invalid", port, **options))
        except TypeError:
            notes.append("no such option here")  # all_errors: 3.12+

    assert of(both(scene), "raised") or options


def test_the_last_of_several_addresses_answers() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

            async def several(host: str, *_: Any, **__: Any) -> Any:
                hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

            loop.getaddrinfo = several
            for options in ({}, {"happy_eyeballs_delay": 0.05}):
                await tried(notes, loop.create_connection(lambda: Noting(notes), "example.invalid", port, **options))
                await turns(loop)

    notes = both(scene)
    assert notes.count("connected") == 2
    assert not of(notes, "left open")


def test_a_name_that_does_not_resolve() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        async def none(host: Any, *_: Any, **__: Any) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async def empty(host: Any, *_: Any, **__: Any) -> Any:
            return []

        for resolver in (none, empty):
            loop.getaddrinfo = resolver
            await tried(notes, loop.create_connection(lambda: Noting(notes), "example.invalid", 80))
            with contextlib.suppress(OSError):
                await loop.create_server(lambda: Noting(notes), "example.invalid", 80)
            await tried(notes, loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("example.invalid", 80)))

    notes = both(scene)
    assert "Name or service not known" in notes[0]


@pytest.mark.parametrize(
    "host", ["a" * 300, "no such\0host", "bad..name", "\udcff", "999.999.999.999", "no-such-host.invalid"], ids=ascii
)
def test_names_without_sense(host: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        try:
            await tried(notes, loop.create_connection(lambda: Noting(notes), host, 80))
        except BaseException as e:
            notes.append(f"raised {type(e).__name__}")
            raise

    assert of(both(scene), "raised")


BAD_ARGUMENTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "host and socket": {"host": "127.0.0.1", "port": 1, "sock": "sock"},
    "a datagram socket": {"sock": "dgram"},
    "server_hostname without ssl": {"host": "127.0.0.1", "port": 1, "server_hostname": "x"},
    "ssl without a name": {"sock": "sock", "ssl": True},
    "a timeout without ssl": {"host": "127.0.0.1", "port": 1, "ssl_handshake_timeout": 1},
    "a shutdown timeout without ssl": {"host": "127.0.0.1", "port": 1, "ssl_shutdown_timeout": 1},
    "a timeout below zero": {"sock": "sock", "ssl": True, "server_hostname": "x", "ssl_handshake_timeout": -1},
    "an unknown option": {"host": "127.0.0.1", "port": 1, "wrong": 1},
    "an address that is not here": {"host": "127.0.0.1", "port": 1, "local_addr": ("192.0.2.1", 0)},
    "a port that is none": {"host": "127.0.0.1", "port": 99999999},
    "a port that is a name": {"host": "127.0.0.1", "port": "no-such-service"},
}


@pytest.mark.parametrize("what", BAD_ARGUMENTS)
def test_bad_arguments(what: str) -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        a, b = socket.socketpair()
        c, d = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with a, b, c, d:
            for each in (a, c):
                each.setblocking(False)
            arguments = dict(BAD_ARGUMENTS[what])
            if "sock" in arguments:
                arguments["sock"] = {"sock": a, "dgram": c}[arguments["sock"]]
            try:
                await tried(notes, loop.create_connection(lambda: Noting([]), **arguments))
            except TypeError as e:
                notes.append(f"TypeError {e}")
            await turns(loop)

    notes = both(scene)
    if what not in ("an unknown option",):
        assert of(notes, "raised") or "TypeError" in notes[0]


@contextlib.contextmanager
def full_backlog() -> Iterator[tuple[str, int]]:
    """The address of a server that accepts nobody, and whose backlog is full: connecting to it waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as stack:
        for _ in range(3):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(server.getsockname())
        yield server.getsockname()


def test_a_cancelled_connect_leaves_nothing() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with full_backlog() as address:
            before = open_files()
            for options in ({}, {"happy_eyeballs_delay": 0.1}):
                connecting = [
                    loop.create_task(loop.create_connection(lambda: Noting(notes), *address, **options))
                    for _ in range(5)
                ]
                await asyncio.sleep(0.05)
                notes.append(f"waiting {[each.done() for each in connecting]}")
                for each in connecting:
                    each.cancel()
                results = await asyncio.gather(*connecting, return_exceptions=True)
                notes.append(f"{ {type(each).__name__ for each in results} }")
            del connecting, results
            await turns(loop)
            notes.append(f"left {len(open_files() - before)}")
        with pytest.raises(asyncio.TimeoutError), full_backlog() as address:
            await asyncio.wait_for(loop.create_connection(lambda: Noting(notes), *address), 0.05)

    notes = both(scene)
    assert "left 0" in notes
    assert not of(notes, "warning")


def test_cancelling_at_every_turn() -> None:
    """Whenever it comes, nothing is left open."""

    async def scene(loop: Any, notes: Notes) -> None:
        server = await loop.create_server(lambda: Noting([]), "127.0.0.1", 0)
        before = len(open_files())
        made: list[Noting] = []

        def factory() -> Noting:
            made.append(Noting([]))
            return made[-1]

        for count in range(12):
            connecting = loop.create_task(loop.create_connection(factory, *server.sockets[0].getsockname()))
            for _ in range(count):
                await asyncio.sleep(0)
            connecting.cancel()
            try:
                transport, _ = await connecting
            except asyncio.CancelledError:
                continue
            transport.abort()
        await until(lambda: len(open_files()) <= before)
        notes.append(f"every one that was made is lost: {all(each.lost for each in made if each.calls)}")
        server.close()
        await server.wait_closed()

    for side in (ASYNCIO, OURS):
        notes = play(side, scene)
        if side is OURS:
            assert notes == ["every one that was made is lost: True"]


def test_unix_paths() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for path in (f"{folder}/none", folder, f"{folder}/{'x' * 200}", "", "nul\0within"):
                await tried(notes, loop.create_unix_connection(lambda: Noting(notes), path))
            with open(f"{folder}/file", "w"):
                pass
            for path in (f"{folder}/file", f"{folder}/no/folder", folder):
                try:
                    server = await loop.create_unix_server(lambda: Noting(notes), path)
                    server.close()
                    notes.append("served")
                except OSError as e:
                    notes.append(f"raised {type(e).__name__} {e.errno}")

    assert len(both(scene)) >= 8


def test_an_address_in_use() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            before = open_files()
            port = taken.getsockname()[1]
            for host in ("127.0.0.1", ["127.0.0.1", "127.0.0.2"]):
                try:
                    await loop.create_server(lambda: Noting(notes), host, port)
                except OSError as e:
                    notes.append(f"{type(e).__name__} {e.errno} {level(str(e)).replace(str(port), 'PORT')}")
            notes.append(f"left {len(open_files() - before)}")

    notes = both(scene)
    assert str(errno.EADDRINUSE) in notes[0]
    assert notes[-1] == "left 0"


@contextlib.contextmanager
def few_files(spare: int) -> Iterator[None]:
    """Let this process open only so many more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_files()) + 1 + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("side", [ASYNCIO, OURS], ids=["asyncio", "fenshen"])
def test_no_descriptors_left_while_accepting(side: Side) -> None:
    """It is told once, and a second later everybody waiting is served."""

    async def scene(loop: Any, notes: Notes) -> None:
        made: list[Noting] = []

        def factory() -> Noting:
            made.append(Noting([]))
            return made[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        peers = [socket.socket() for _ in range(5)]
        filler: list[int] = []
        try:
            await asyncio.sleep(0)
            with few_files(0):
                with contextlib.suppress(OSError):  # holes below the limit
                    while True:
                        filler.append(socket.socket().detach())
                for peer in peers:
                    peer.setblocking(False)
                    peer.connect_ex(server.sockets[0].getsockname())
                began = loop.time()
                await asyncio.sleep(0.4)
                notes.append(f"accepted {len(made)}")
            for fd in filler:
                socket.close(fd)
            filler.clear()
            await until(lambda: len(made) == 5)
            notes.append(f"waited {0.5 < loop.time() - began < 10}")
        finally:
            for fd in filler:
                socket.close(fd)
            for peer in peers:
                peer.close()
        await until(lambda: all(each.lost for each in made))
        server.close()
        await server.wait_closed()

    notes = play(side, scene)
    reports = of(notes, "handler: ")
    assert len(reports) == 1 or side is ASYNCIO, notes  # asyncio may tell it once for each place in its backlog
    assert reports[0].startswith(
        "handler: socket.accept() out of system resource: OSError([Errno 24] Too many open files)"
    )
    assert [note for note in notes if note not in reports] == ["accepted 0", "waited True"]


def test_a_server_that_is_closed_while_it_backs_off() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        server = await loop.create_server(lambda: Noting(notes), "127.0.0.1", 0)
        filler: list[int] = []
        with socket.socket() as peer:
            peer.setblocking(False)
            with few_files(0):
                with contextlib.suppress(OSError):
                    while True:
                        filler.append(socket.socket().detach())
                peer.connect_ex(server.sockets[0].getsockname())
                await asyncio.sleep(0.05)
            server.close()
            for fd in filler:
                socket.close(fd)
            await asyncio.sleep(1.3)
        notes.append("over")

    notes = play(OURS, scene)
    assert notes[1:] == ["over"]


def test_peers_that_are_gone_before_they_are_accepted() -> None:
    async def scene(loop: Any, notes: Notes) -> None:
        server = await loop.create_server(lambda: Noting(notes), "127.0.0.1", 0)
        from scenes import reset

        for _ in range(3):
            peer = socket.create_connection(server.sockets[0].getsockname())
            reset(peer)
        await turns(loop)
        with socket.create_connection(server.sockets[0].getsockname()):
            await turns(loop)
        await turns(loop)
        server.close()
        await server.wait_closed()

    assert both(scene).count("p.connection_made") == 4
