"""socketserver: a thread a connection, on TCP and on a Unix socket; peers that vanish, handlers that fail, a shutdown
while connections are open.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from engine import checked

SECONDS = 30


class Upper(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            if line == b"fail\n":
                raise ValueError("as asked")
            self.wfile.write(line.upper())


class Counting:
    """What both servers do: count connections, keep errors instead of printing them."""

    def __init__(self, *args: object) -> None:
        self.lock = threading.Lock()
        self.failed = threading.Semaphore(0)
        self.errors: list[str] = []
        self.connections = 0
        super().__init__(*args)

    def process_request_thread(self, request: socket.socket, address: object) -> None:
        with self.lock:
            self.connections += 1
        super().process_request_thread(request, address)

    def handle_error(self, request: socket.socket, address: object) -> None:
        with self.lock:
            self.errors.append(f"{sys.exc_info()[1]!r}")
        self.failed.release()


class TCP(Counting, socketserver.ThreadingTCPServer):
    request_queue_size = 64


class Unix(Counting, socketserver.ThreadingUnixStreamServer):
    request_queue_size = 64


def connected(server: TCP | Unix) -> socket.socket:
    client = socket.socket(server.address_family)
    client.settimeout(SECONDS)
    client.connect(server.server_address)
    return client


def talk(server: TCP | Unix, number: int) -> int:
    lines = [b"client %d line %d\n" % (number, line) for line in range(100)]
    with connected(server) as client, client.makefile("rwb") as stream:
        right = 0
        for line in lines[:50]:
            stream.write(line)
            stream.flush()
            right += stream.readline() == line.upper()
        stream.writelines(lines[50:])
        stream.flush()
        return right + sum(stream.readline() == line.upper() for line in lines[50:])


def fail(server: TCP | Unix) -> bytes:
    with connected(server) as client:
        client.sendall(b"one\nfail\n")
        with client.makefile("rb") as stream:
            return stream.read()


def vanish(server: TCP | Unix) -> None:
    with connected(server) as client:
        client.sendall(b"one\ntwo")
        if server.address_family == socket.AF_INET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def served(server: TCP | Unix) -> None:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    with ThreadPoolExecutor(16) as pool:
        print(sum(pool.map(lambda number: talk(server, number), range(32))))
        print(list(pool.map(lambda _: fail(server), range(3))))
        list(pool.map(lambda _: vanish(server), range(5)))
        for _ in range(3):
            print(server.failed.acquire(timeout=SECONDS))
        print(talk(server, 99))
    with connected(server) as open_one:
        open_one.sendall(b"still here\n")
        print(open_one.recv(100))
        server.shutdown()
        thread.join(SECONDS)
        print(thread.is_alive())
    server.server_close()  # waits for the threads of connections
    asked = [error for error in server.errors if error == "ValueError('as asked')"]
    print(len(asked), all(error in asked or "Connection" in error or "Broken" in error for error in server.errors))
    print(server.connections, threading.active_count())


@checked
def main() -> None:
    served(TCP(("127.0.0.1", 0), Upper))
    served(Unix("socket", Upper))


if __name__ == "__main__":
    main()
