"""Flask on Werkzeug's threaded server, under load from a pool of urllib3: sessions, uploads, streams, a lock that the
views share, errors, requests that must be in at once.
"""

from __future__ import annotations

import io
import logging
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import urllib3
from engine import checked
from flask import Flask, Response, g, jsonify, request, session
from werkzeug.serving import make_server

SECONDS = 30
LARGE = random.Random(2).randbytes(1 << 20)
app = Flask(__name__)
app.secret_key = "of the test"
lock, total, meeting = threading.Lock(), 0, threading.Barrier(4)


@app.before_request
def begin() -> None:
    g.began = time.monotonic()


@app.get("/add/<int:number>")
def add(number: int) -> Response:
    global total
    with lock:
        before = total
        time.sleep(0)
        total = before + number
    return jsonify(number=number, g=g.began > 0, path=request.path)


@app.get("/visits")
def visits() -> str:
    session["visits"] = session.get("visits", 0) + 1
    return str(session["visits"])


@app.post("/upload")
def upload() -> bytes:
    file = request.files["file"]
    return file.read() + file.filename.encode() + request.form["name"].encode()


@app.get("/lines/<int:count>")
def lines(count: int) -> Response:
    def produce() -> Iterator[str]:
        for number in range(count):
            yield f"{number}\n"

    return Response(produce(), mimetype="text/plain")


@app.get("/meet")
def meet() -> str:
    return "met" if meeting.wait(SECONDS) >= 0 else ""


@app.get("/fail")
def fail() -> str:
    raise LookupError("as asked")


def load(base: str) -> None:
    with urllib3.PoolManager(maxsize=12, block=True, timeout=SECONDS, retries=False) as http:
        get = lambda path: http.request("GET", base + path)  # noqa: E731
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda number: get(f"/add/{number}").json(), range(150)))
            print([answer["number"] for answer in answers] == list(range(150)), total, answers[7])
            print([answer.data for answer in pool.map(get, ["/meet"] * 8)])
            print({len(answer.data.split()) for answer in pool.map(get, ["/lines/2000"] * 10)})
            print([answer.status for answer in pool.map(get, ["/fail", "/none", "/visits"])])

            def send(number: int) -> bool:
                data = LARGE[: number * 50_000]
                fields = {"name": "n", "file": ("f.bin", io.BytesIO(data).read())}
                return http.request("POST", base + "/upload", fields=fields).data == data + b"f.binn"

            print(sum(pool.map(send, range(20))))
        cookie, seen = "", []
        for _ in range(3):
            answer = http.request("GET", base + "/visits", headers={"Cookie": cookie})
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
            seen.append(answer.data)
        print(seen)


@checked
def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.logger.disabled = True
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    load(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join(SECONDS)
    server.server_close()
    client = app.test_client()
    with ThreadPoolExecutor(6) as pool:
        print(sum(pool.map(lambda number: client.get(f"/add/{number}").status_code == 200, range(100))), total)


if __name__ == "__main__":
    main()
