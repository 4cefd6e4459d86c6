"""Peers on plain blocking sockets, for what no client library does: half-close, vanish. For `asyncio.to_thread`."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 30


@contextmanager
def connected(port: int, tls: ssl.SSLContext | None = None, receive_buffer: int = 0) -> Iterator[socket.socket]:
    """A blocking connection to the local port."""
    with socket.socket() as plain:
        plain.settimeout(SECONDS)
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.connect(("127.0.0.1", port))
        if tls is None:
            yield plain
            return
        with tls.wrap_socket(plain, server_hostname="localhost") as wrapped:
            yield wrapped


def rest(peer: socket.socket) -> bytes:
    """All that the other side still sends."""
    parts = []
    while part := peer.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def reset(peer: socket.socket) -> None:
    """Close it so that the other side sees a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def half_closing(port: int, request: bytes) -> bytes:
    """Send a request, close the sending side, and read the answer to its end; nothing after a reset."""
    with connected(port) as peer:
        peer.sendall(request)
        try:
            peer.shutdown(socket.SHUT_WR)
            return rest(peer)
        except OSError:
            return b""


def at_once(port: int, request: bytes) -> bytes:
    """Send a request and read the answer to its end; nothing, if the other side resets the connection."""
    with connected(port) as peer:
        peer.sendall(request)
        try:
            return rest(peer)
        except ConnectionResetError:
            return b""


def byte_by_byte(port: int, request: bytes) -> bytes:
    """Send a request in the smallest pieces there are, and read the answer to its end."""
    with connected(port) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            peer.sendall(bytes([byte]))
        return rest(peer)


def vanishing(port: int, request: bytes, answer_bytes: int = 0) -> None:
    """Send a request, read so much of the answer, and reset the connection."""
    with connected(port, receive_buffer=4096) as peer:
        peer.sendall(request)
        while answer_bytes > 0:
            answer_bytes -= len(peer.recv(answer_bytes))
        reset(peer)
