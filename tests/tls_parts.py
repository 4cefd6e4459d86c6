"""What the tests of TLS share: certificates made for the occasion, contexts, and a wire that is all in memory."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fenshen import _fenshen

OUR_PROTOCOL: Any = _fenshen.SSLProtocol
THEIR_PROTOCOL: Any = asyncio.sslproto.SSLProtocol  # type: ignore[attr-defined]

since_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason="from Python 3.11 on")

_EXTENSIONS = """subjectAltName=DNS:{name},IP:127.0.0.1
basicConstraints=CA:FALSE
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
_AUTHORITY = "-addext keyUsage=critical,keyCertSign,cRLSign"


@functools.cache
def folder() -> Path:
    """A folder with `ca.pem` and, signed by it, `localhost.pem`, `other.pem` and `client.pem`, each with its key.

    Skips the test where there is no `openssl` command, but fails it with CI=true.
    """
    if shutil.which("openssl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the openssl command is missing")
        pytest.skip("needs the openssl command")
    made = Path(tempfile.mkdtemp(prefix="fenshen-tls-"))
    _openssl(
        made,
        "req -x509 -nodes -days 3650 -subj /CN=fenshen-ca -keyout ca.key -out ca.pem",
        *_new_key(),
        *_AUTHORITY.split(),
    )
    for name in ("localhost", "other", "client"):
        (made / "extensions").write_text(_EXTENSIONS.format(name=name))
        _openssl(made, f"req -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr", *_new_key())
        _openssl(
            made,
            f"x509 -req -days 3650 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions "
            f"-out {name}.crt",
        )
        (made / f"{name}.pem").write_text((made / f"{name}.key").read_text() + (made / f"{name}.crt").read_text())
    return made


def _new_key() -> tuple[str, ...]:
    return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"


def _openssl(where: Path, line: str, *more: str) -> None:
    done = subprocess.run(
        ["openssl", *line.split(), *more], cwd=where, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def server_context(name: str = "localhost") -> ssl.SSLContext:
    """A server's context with the certificate of that name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder() / f"{name}.pem")
    return context


def client_context() -> ssl.SSLContext:
    """A client's context that trusts our authority."""
    return ssl.create_default_context(cafile=str(folder() / "ca.pem"))


def contexts(version: ssl.TLSVersion | None = None) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's context, of one version of TLS if it is given."""
    pair = server_context(), client_context()
    for context in pair:
        if version is not None:
            context.minimum_version = context.maximum_version = version
    return pair


class Log(asyncio.Protocol):
    """Notes what it is told; what data came is kept as one string of bytes."""

    def __init__(self, on_data: Callable[[Any, bytes], None] | None = None) -> None:
        self.events: list[str] = []
        self.data = bytearray()
        self.transport: Any = None
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self._on_data = on_data
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        assert data
        self.data += data
        if self.events[-1:] != ["data"]:
            self.events.append("data")
        if self._on_data is not None:
            self._on_data(self, data)
        for size, waiter in self._waiters:
            if len(self.data) >= size and not waiter.done():
                waiter.set_result(None)

    def eof_received(self) -> None:
        self.events.append("eof")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append(f"lost {type(exc).__name__}")
        if not self.lost.done():
            self.lost.set_result(exc)

    async def received(self, size: int) -> None:
        """Wait until so many bytes came in all."""
        if len(self.data) < size:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append((size, waiter))
            await asyncio.wait({waiter, self.lost}, return_when=asyncio.FIRST_COMPLETED)
        assert len(self.data) >= size, f"{len(self.data)} of {size} bytes; {self.events}"


def echo(log: Any, data: bytes) -> None:
    """For `Log`: sends back what came."""
    log.transport.write(data)


class Reports:
    """What a loop's exception handler is told: `message: exception's class`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lines: list[str] = []
        loop.set_exception_handler(self._note)

    def _note(self, _loop: Any, context: dict[str, Any]) -> None:
        self.lines.append(f"{context['message']}: {type(context.get('exception')).__name__}")


@contextlib.asynccontextmanager
async def serving(
    make: Callable[[], Any], context: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[tuple[str, int]]:
    """A server on a free port; its address."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=context or server_context(), **options)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


async def dial(address: tuple[str, int], make: Callable[[], Any] = Log, **options: Any) -> tuple[Any, Any]:
    """A connection to a server of ours; its transport and protocol."""
    options.setdefault("ssl", client_context())
    options.setdefault("server_hostname", "localhost" if options["ssl"] else None)
    return await asyncio.get_running_loop().create_connection(make, *address, **options)


def in_thread(peer: Callable[[socket.socket], None]) -> tuple[threading.Thread, tuple[str, int]]:
    """A peer that serves one connection with blocking calls."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(30)
                peer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread, server.getsockname()


class Wire(asyncio.Transport):
    """A transport in memory: what is written is kept until a test passes it on, as it likes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any) -> None:
        super().__init__()
        self.out = bytearray()
        self.reading = True
        self._loop, self._protocol, self._closing = loop, protocol, False

    def write(self, data: Any) -> None:
        if not self._closing:
            self.out += data

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self._force_close(None)

    def abort(self) -> None:
        self._force_close(None)

    def _force_close(self, exc: BaseException | None) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, exc)

    def feed(self, data: bytes) -> None:
        """Hands bytes to the protocol, as a transport does that has received them."""
        while data and not self._closing:
            buffer = self._protocol.get_buffer(len(data))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self._protocol.buffer_updated(size)
            data = data[size:]


class End:
    """One end of a TLS connection over a `Wire`."""

    def __init__(self, kind: Any, app: Any, context: ssl.SSLContext, *, server_side: bool) -> None:
        loop = asyncio.get_running_loop()
        self.app = app
        hostname = None if server_side else "localhost"
        self.protocol = kind(loop, app, context, None, server_side, hostname)
        self.transport = self.protocol._app_transport
        self.wire = Wire(loop, self.protocol)


def connect(
    server: Any, client: Any, kinds: tuple[Any, Any] = (OUR_PROTOCOL, OUR_PROTOCOL), version: Any = None
) -> tuple[End, End]:
    """The two ends of a connection between two application protocols, before a byte has gone from one to the other."""
    for_server, for_client = contexts(version)
    ends = End(kinds[0], server, for_server, server_side=True), End(kinds[1], client, for_client, server_side=False)
    for end in ends:
        end.protocol.connection_made(end.wire)
    return ends


def take(wire: Wire, size: int | None = None) -> bytes:
    """Takes bytes off a wire."""
    data = bytes(wire.out[:size])
    del wire.out[: len(data)]
    return data


def shuttle(a: End, b: End) -> None:
    """Passes everything on, both ways, until nothing is left."""
    while a.wire.out or b.wire.out:
        b.wire.feed(take(a.wire))
        a.wire.feed(take(b.wire))
