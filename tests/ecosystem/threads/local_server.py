"""A small HTTP server in threads of this process, for the programs here that are clients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers GET with the path, POST with the body; `/fail` with 500, `/close` and `/never` not at all."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/close":
            self.close_connection = True
            return
        if self.path == "/never":
            self.rfile.read(1)  # until the client has gone
            self.close_connection = True
            return
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/moved")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.answer(500 if self.path == "/fail" else 200, self.path.encode())

    def do_POST(self) -> None:
        self.answer(200, self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Counts its connections."""

    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.lock = threading.Lock()

    def process_request_thread(self, *args: object) -> None:
        with self.lock:
            self.connections += 1
        super().process_request_thread(*args)

    def handle_error(self, *args: object) -> None:
        """Clients here may leave before their answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="server")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.block_on_close = False
