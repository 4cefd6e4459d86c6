"""A Flask application: plain and asynchronous views."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fenshen
from flask import Flask, Response, jsonify, request

app = Flask(__name__)
meeting = threading.Barrier(4)


@app.get("/loop")
async def loop() -> Response:
    running = asyncio.get_running_loop()
    await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(10)))
    name = "fenshen" if isinstance(running, fenshen.EventLoop) else type(running).__module__.partition(".")[0]
    return jsonify(loop=name, process=os.getpid())


@app.post("/echo")
def echo() -> bytes:
    return request.get_data()


@app.get("/meet")
def meet() -> str:
    """Answered only when four threads are here at once."""
    meeting.wait(30)
    return "met"


@app.get("/count/<int:to>")
def count(to: int) -> Response:
    def lines() -> Iterator[bytes]:
        for number in range(to):
            yield b"%d\n" % number

    return Response(lines())


@app.get("/slow")
def slow() -> str:
    with Path("events.txt").open("a") as events:
        events.write("slow began\n")
    time.sleep(1.5)
    return "done"
