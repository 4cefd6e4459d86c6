"""A small web server for the examples: the files of a folder, from memory, on 127.0.0.1.

    fenshen run web_server.py FOLDER [--delay SECONDS] [--fail-every N] [--limit BYTES] [--count N]

It prints its port and serves until its standard input closes. `/index.json` lists every file with its size and SHA-256.
Each answer comes `--delay` seconds late, as over a long line. Every Nth request of a file is refused with 503, so that
clients can show how they go on. `--count` serves only the largest N files of at most `--limit` bytes each.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import mimetypes
import os
import sys
from pathlib import Path
from urllib.parse import quote, unquote


def read_files(folder: Path, limit: int, count: int | None) -> dict[str, bytes]:
    """What is served, by path."""
    sizes: dict[Path, int] = {}
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - {"__pycache__", "site-packages", "test", "tests"})
        for path in (Path(root, name) for name in names):
            if path.is_file() and not path.is_symlink() and 0 < (size := path.stat().st_size) <= limit:
                sizes[path] = size
    chosen = sorted(sizes, key=lambda path: (-sizes[path], path))[:count]
    return {"/" + quote(path.relative_to(folder).as_posix()): path.read_bytes() for path in chosen}


def index_of(files: dict[str, bytes]) -> bytes:
    """The list of all files as JSON."""
    rows = [
        {"path": path, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()} for path, body in files.items()
    ]
    return json.dumps(rows).encode()


class Site:
    """The files, and how bad the line to them is."""

    def __init__(self, files: dict[str, bytes], delay: float, fail_every: int) -> None:
        self.files, self.delay, self.fail_every = files, delay, fail_every
        self.index = index_of(files)
        self.asked = 0

    def answer(self, method: str, path: str) -> bytes:
        """The whole response to a request."""
        if path == "/index.json":
            return response("200 OK", "application/json", self.index)
        body = self.files.get(path if path in self.files else quote(unquote(path)))
        if body is None:
            return response("404 Not Found", "text/plain", b"no such file\n")
        self.asked += 1
        if self.fail_every and self.asked % self.fail_every == 0:
            return response("503 Service Unavailable", "text/plain", b"try again\n")
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        return response("200 OK", kind, body, head=method == "HEAD")


def response(status: str, kind: str, body: bytes, *, head: bool = False) -> bytes:
    """A response of HTTP/1.1 that leaves the connection open."""
    start = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return start if head else start + body


class Connection(asyncio.Protocol):
    """A client; its requests are answered in turn."""

    def __init__(self, site: Site) -> None:
        self.site, self.heard = site, b""
        self.free_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self.heard = (self.heard + data).split(b"\r\n\r\n")
        for request in requests:
            method, path, _ = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            self.say(self.site.answer(method, path))

    def say(self, answer: bytes) -> None:
        if not self.site.delay:
            self.transport.write(answer)
            return
        loop = asyncio.get_running_loop()
        self.free_at = max(self.free_at, loop.time() + self.site.delay)
        loop.call_at(self.free_at, self.transport.write, answer)


async def serve(site: Site) -> None:
    """Until standard input closes."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    server = await loop.create_server(lambda: Connection(site), "127.0.0.1", 0, backlog=1024)
    loop.add_reader(sys.stdin, lambda: os.read(0, 1024) or over.done() or over.set_result(None))
    print(server.sockets[0].getsockname()[1], flush=True)
    await over
    loop.remove_reader(sys.stdin)
    server.close()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Serve the files of a folder on 127.0.0.1.")
    options.add_argument("folder", type=Path)
    options.add_argument("--delay", type=float, default=0.0, help="seconds before each answer (default: 0)")
    options.add_argument("--fail-every", type=int, default=0, help="refuse every Nth request (default: none)")
    options.add_argument("--limit", type=int, default=4 << 20, help="bytes of the largest file (default: 4 MiB)")
    options.add_argument("--count", type=int, help="how many files, the largest first (default: all)")
    chosen = options.parse_args()
    asyncio.run(serve(Site(read_files(chosen.folder, chosen.limit, chosen.count), chosen.delay, chosen.fail_every)))
