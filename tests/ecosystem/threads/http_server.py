"""http.server's ThreadingHTTPServer under a pool of clients: kept connections, large bodies, errors, a barrier of
requests, and XML-RPC over the same machinery.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import socketserver
import threading
import time
import urllib.error
import urllib.request
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xmlrpc.server import SimpleXMLRPCServer

from engine import checked

SECONDS = 30
LARGE = random.Random(1).randbytes(2 << 20)
meeting = threading.Barrier(4)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        if self.path == "/missing":
            return self.send_error(404)
        if self.path == "/meet":
            return self.answer(b"%d" % (meeting.wait(SECONDS) >= 0))
        if self.path == "/slow":
            time.sleep(0.1)
        return self.answer(json.dumps({"path": self.path, "thread": threading.current_thread().name[:6]}).encode())

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64


def get(base: str, path: str) -> bytes:
    with urllib.request.urlopen(base + path, timeout=SECONDS) as answer:
        return answer.read()


def kept(port: int, number: int) -> int:
    """Many requests on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    right = 0
    for step in range(20):
        body = LARGE[: number * 1000 + step]
        connection.request("POST", "/", body)
        right += connection.getresponse().read() == body
    connection.close()
    return right


def pages(port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    with ThreadPoolExecutor(12) as pool:
        print(sum(pool.map(lambda number: kept(port, number), range(24))))
        jobs = [pool.submit(get, base, f"/page/{number}") for number in range(60)]
        print(sorted(json.loads(job.result())["path"] for job in as_completed(jobs, SECONDS))[:3])
        print(list(pool.map(lambda _: get(base, "/meet"), range(8))))
        began = time.monotonic()
        print(len(list(pool.map(lambda _: get(base, "/slow"), range(12)))), time.monotonic() - began < 1.2)
        request = urllib.request.Request(base, LARGE)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            print(hashlib.sha256(answer.read()).digest() == hashlib.sha256(LARGE).digest())
    try:
        get(base, "/missing")
    except urllib.error.HTTPError as e:
        print(e.code, e.reason)
        e.close()


class RPC(socketserver.ThreadingMixIn, SimpleXMLRPCServer):
    pass


def calls() -> None:
    with RPC(("127.0.0.1", 0), logRequests=False) as server:
        server.register_function(divmod)
        server.register_function(lambda items: sorted(items), "ordered")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}"

        def ask(number: int) -> list[int]:
            with xmlrpc.client.ServerProxy(address) as proxy:
                return [*proxy.divmod(number, 7), *proxy.ordered([3, number, 1])]

        with ThreadPoolExecutor(8) as pool:
            print(list(pool.map(ask, range(0, 40, 13))))
        try:
            ask("x")  # type: ignore[arg-type]
        except xmlrpc.client.Fault as e:
            print(e.faultString[:70])
        server.shutdown()
        thread.join()


@checked
def main() -> None:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="accepting")
        thread.start()
        pages(server.server_address[1])
        server.shutdown()
        thread.join(SECONDS)
    calls()
    print([each.name for each in threading.enumerate()])


if __name__ == "__main__":
    main()
