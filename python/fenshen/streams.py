"""Streams: connections and servers whose readers and writers are native."""

from __future__ import annotations

import asyncio
from typing import Any

from fenshen._fenshen import StreamReader, StreamReaderProtocol, StreamWriter

__all__ = [
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
]

_DEFAULT_LIMIT = 2**16


async def open_connection(host: Any = None, port: Any = None, *, limit: int = _DEFAULT_LIMIT, **kwds: Any) -> Any:
    """Connect, and return the connection's reader and writer.

    limit: the longest line in bytes; twice as much is buffered at most. The rest is what `loop.create_connection`
    takes, and its errors are raised.
    """
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamReaderProtocol(reader, None, loop)
    transport, _ = await loop.create_connection(lambda: protocol, host, port, **kwds)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def open_unix_connection(path: Any = None, *, limit: int = _DEFAULT_LIMIT, **kwds: Any) -> Any:
    """The same over a Unix socket: what `loop.create_unix_connection` takes."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamReaderProtocol(reader, None, loop)
    transport, _ = await loop.create_unix_connection(lambda: protocol, path, **kwds)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def start_server(
    client_connected_cb: Any, host: Any = None, port: Any = None, *, limit: int = _DEFAULT_LIMIT, **kwds: Any
) -> Any:
    """Start a server, and return it: what `loop.create_server` returns.

    client_connected_cb: called with the reader and the writer of each new connection; a coroutine function's
    coroutine becomes a task. limit: the longest line in bytes. The rest is what `loop.create_server` takes.
    """
    loop = asyncio.get_running_loop()

    def factory() -> Any:
        return StreamReaderProtocol(StreamReader(limit, loop), client_connected_cb, loop)

    return await loop.create_server(factory, host, port, **kwds)


async def start_unix_server(
    client_connected_cb: Any, path: Any = None, *, limit: int = _DEFAULT_LIMIT, **kwds: Any
) -> Any:
    """The same over a Unix socket: what `loop.create_unix_server` takes."""
    loop = asyncio.get_running_loop()

    def factory() -> Any:
        return StreamReaderProtocol(StreamReader(limit, loop), client_connected_cb, loop)

    return await loop.create_unix_server(factory, path, **kwds)
