"""waitress, a server that is a pool of threads, under load; and stopped from outside."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import urllib3
import waitress
from engine import checked

SECONDS = 30
LARGE = random.Random(7).randbytes(1 << 20)
meeting = threading.Barrier(4)


def app(environ: dict, start: Callable) -> Iterable[bytes]:
    """GET: the path; `/meet` when four threads are here; POST: the body; `/fail`: an error."""
    body = environ["PATH_INFO"].encode("latin-1")
    if body == b"/fail":
        raise LookupError("as asked")
    if body == b"/meet":
        meeting.wait(SECONDS)
    if environ["REQUEST_METHOD"] == "POST":
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body[:1000], body[1000:]]


def load(port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    manager = urllib3.PoolManager(maxsize=8, block=True, timeout=SECONDS, retries=False)
    with manager as http, ThreadPoolExecutor(8) as pool:
        get = lambda path: http.request("GET", base + path)  # noqa: E731
        paths = [f"/{number}" for number in range(150)]
        print([answer.data.decode() for answer in pool.map(get, paths)] == paths)
        print(len(list(pool.map(get, ["/meet"] * 8))), get("/fail").status)
        bodies = [LARGE[: number * 50_000] for number in range(20)]
        print([job.data for job in pool.map(lambda body: http.request("POST", base, body=body), bodies)] == bodies)


def by_waitress() -> None:
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=6)
    thread = threading.Thread(target=server.run)
    thread.start()
    load(server.effective_port)
    with contextlib.suppress(OSError):  # its own thread may run it, and close the pipe, before it is told to
        server.trigger.pull_trigger(server.close)
    thread.join(SECONDS)
    server.task_dispatcher.shutdown()
    print(thread.is_alive())


@checked
def main() -> None:
    logging.getLogger("waitress").setLevel(logging.CRITICAL + 1)
    by_waitress()
    deadline = time.monotonic() + SECONDS
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    print(threading.active_count())


if __name__ == "__main__":
    main()
