"""Count the words in every file of a slow disk: an ordinary asyncio program.

    python wordcount.py PORT              # 64 files at a time
    python wordcount.py PORT --serial     # one after another, without asyncio

It imports nothing but the standard library. `slow_disk.py` is the disk and says what goes over the wire.
"""

import argparse
import asyncio
import collections
import socket
import sys
import time

BLOCK = 512


class Progress:
    """A line on the terminal that says how far we are; nothing when standard error is not a terminal."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.said = total, 0, 0.0
        self.visible = sys.stderr.isatty()

    def step(self) -> None:
        self.done += 1
        if self.visible and (time.monotonic() - self.said > 0.1 or self.done == self.total):
            self.said = time.monotonic()
            bar = "#" * (30 * self.done // self.total)
            end = "\r\x1b[K" if self.done == self.total else ""
            print(f"\r[{bar:30}] {self.done}/{self.total} files{end}", end="", file=sys.stderr, flush=True)


def count(text: bytes, words: collections.Counter[str]) -> None:
    words.update([word for word in text.decode(errors="replace").split() if word.isalpha()])


async def fetch(loop: asyncio.AbstractEventLoop, connection: socket.socket, name: str) -> bytes:
    blocks: list[bytes] = []
    while True:
        await loop.sock_sendall(connection, f"{len(blocks) * BLOCK} {name}\n".encode())
        answer = await loop.sock_recv(connection, 4 + BLOCK)
        size = int.from_bytes(answer[:4], "big")
        while len(answer) < 4 + size:
            answer += await loop.sock_recv(connection, 4 + size - len(answer))
        blocks.append(answer[4:])
        if size < BLOCK:
            return b"".join(blocks)


async def connect(loop: asyncio.AbstractEventLoop, port: int) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await loop.sock_connect(connection, ("127.0.0.1", port))
    return connection


async def worker(port: int, names: "asyncio.Queue[str]", words: collections.Counter[str], progress: Progress) -> None:
    loop = asyncio.get_running_loop()
    with await connect(loop, port) as connection:
        while not names.empty():
            count(await fetch(loop, connection, names.get_nowait()), words)
            progress.step()


async def main(port: int, workers: int) -> collections.Counter[str]:
    loop = asyncio.get_running_loop()
    words: collections.Counter[str] = collections.Counter()
    names: asyncio.Queue[str] = asyncio.Queue()
    with await connect(loop, port) as connection:
        for name in (await fetch(loop, connection, ".")).decode().splitlines():
            names.put_nowait(name)
    progress = Progress(names.qsize())
    await asyncio.gather(*[worker(port, names, words, progress) for _ in range(workers)])
    return words


def fetch_serially(connection: socket.socket, name: str) -> bytes:
    blocks: list[bytes] = []
    while True:
        connection.sendall(f"{len(blocks) * BLOCK} {name}\n".encode())
        answer = connection.recv(4 + BLOCK)
        size = int.from_bytes(answer[:4], "big")
        while len(answer) < 4 + size:
            answer += connection.recv(4 + size - len(answer))
        blocks.append(answer[4:])
        if size < BLOCK:
            return b"".join(blocks)


def main_serially(port: int) -> collections.Counter[str]:
    words: collections.Counter[str] = collections.Counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        names = fetch_serially(connection, ".").decode().splitlines()
        progress = Progress(len(names))
        for name in names:
            count(fetch_serially(connection, name), words)
            progress.step()
    return words


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Count the words in every file of a slow disk.")
    options.add_argument("port", type=int)
    options.add_argument("--workers", type=int, default=64, help="files at a time (default: 64)")
    options.add_argument("--serial", action="store_true", help="one file after another, without asyncio")
    chosen = options.parse_args()
    counted = main_serially(chosen.port) if chosen.serial else asyncio.run(main(chosen.port, chosen.workers))
    print(f"{counted.total():,} words, {len(counted):,} different ones")
    for word, times in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:10]:
        print(f"{times:8,}  {word}")
