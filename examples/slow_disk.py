"""A slow disk on the network: serves the files of a directory tree, a block at a time, each file only after a delay.

    python slow_disk.py FOLDER --delay 0.01

It prints the port it listens on (127.0.0.1), how many files it has and their size, and serves until its standard input
closes. A request is a line, `OFFSET NAME`; the answer is four bytes of length and then the block at that offset. A
block shorter than a full one is the file's last. The file named `.` is the list of all names. The first block of every
file comes `--delay` seconds late, as from a disk that must seek.

The tree is read into memory first and one epoll loop does the rest, so that the disk is never what a client waits for,
apart from the stated delay.
"""

import argparse
import heapq
import pathlib
import select
import socket
import sys
import time

BLOCK = 512
SKIP = {"test", "tests", "idle_test", "site-packages", "__pycache__"}


def read_tree(folder: pathlib.Path, pattern: str) -> dict[str, bytes]:
    """Every file of the tree that matches, by its name relative to the tree; `.` is the list of names."""
    files = {}
    for path in sorted(folder.rglob(pattern)):
        name = path.relative_to(folder)
        if path.is_file() and not SKIP.intersection(name.parts[:-1]):
            files[name.as_posix()] = path.read_bytes()
    files["."] = "\n".join(files).encode()
    return files


class Disk:
    """One listening socket, its clients, and the answers that are not due yet."""

    def __init__(self, files: dict[str, bytes], delay: float) -> None:
        self.files, self.delay = files, delay
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.poller = select.epoll()
        self.clients: dict[int, socket.socket] = {}
        self.late: list[tuple[float, int, bytes]] = []  # a heap of (when, client, answer)
        self.poller.register(self.listener, select.EPOLLIN)
        self.poller.register(sys.stdin, select.EPOLLIN)

    def serve(self) -> None:
        """Answer until standard input closes."""
        while True:
            wait = max(0.0, self.late[0][0] - time.monotonic()) if self.late else -1
            for number, _ in self.poller.poll(wait):
                if number == sys.stdin.fileno():
                    return
                if number == self.listener.fileno():
                    self.welcome()
                else:
                    self.hear(number)
            while self.late and self.late[0][0] <= time.monotonic():
                _, number, answer = heapq.heappop(self.late)
                self.send(number, answer)

    def welcome(self) -> None:
        client, _ = self.listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.clients[client.fileno()] = client
        self.poller.register(client, select.EPOLLIN)

    def hear(self, number: int) -> None:
        try:
            request = self.clients[number].recv(1024)
        except ConnectionError:
            request = b""
        if not request:
            self.poller.unregister(number)
            self.clients.pop(number).close()
            return
        offset, _, name = request.decode().rstrip("\n").partition(" ")
        block = self.files[name][int(offset) : int(offset) + BLOCK]
        answer = len(block).to_bytes(4, "big") + block
        if offset == "0" and name != ".":
            heapq.heappush(self.late, (time.monotonic() + self.delay, number, answer))
        else:
            self.send(number, answer)

    def send(self, number: int, answer: bytes) -> None:
        client = self.clients.get(number)
        if client is not None:
            client.sendall(answer)


def main() -> None:
    options = argparse.ArgumentParser(description="Serve a directory tree as a slow disk would.")
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--delay", type=float, default=0.01, help="seconds a file (default: 0.01)")
    options.add_argument("--pattern", default="*.py", help="which files (default: *.py)")
    chosen = options.parse_args()
    disk = Disk(read_tree(chosen.folder, chosen.pattern), chosen.delay)
    files, size = len(disk.files) - 1, sum(map(len, disk.files.values())) - len(disk.files["."])
    print(disk.listener.getsockname()[1], files, size, flush=True)
    disk.serve()


if __name__ == "__main__":
    main()
