"""uvicorn's supervisors under `fenshen run`: reloading, and several workers."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest

from .serving import APPS, Server, serving, until
from .ways import RUN

pytestmark = pytest.mark.needs("fastapi", "uvicorn", "uvloop", "httpx", "watchfiles")

MAIN = """
import asyncio
import fenshen
from fastapi import FastAPI

app = FastAPI()

@app.get("/")
async def answer():
    return [{word!r}, isinstance(asyncio.get_running_loop(), fenshen.EventLoop)]
"""


def asked(port: int, path: str) -> object:
    """What the server answers; None while there is none to answer."""
    import httpx

    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10).json()
    return None


def test_reload(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(MAIN.format(word="one"))
    with serving([*RUN, "-m", "uvicorn", "main:app", "--port", "0", "--reload"], tmp_path) as server:
        port = server.port()
        until(lambda: asked(port, "/") == ["one", True], "the first code answers")
        for word in ("two", "three"):
            main.write_text(MAIN.format(word=word))
            os.utime(main, (time.time() + 2, time.time() + 2))  # or the compiled one of the same second would do
            until(lambda word=word: asked(port, "/") == [word, True], f"the code that says {word} answers")  # type: ignore[misc]
        main.write_text("a syntax error")
        server.wait_for("SyntaxError")
        main.write_text(MAIN.format(word="mended"))
        until(lambda: asked(port, "/") == ["mended", True], "the mended code answers")
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() in (0, -signal.SIGTERM)
        assert "fenshen:" not in server.text


def workers(server: Server, port: int) -> set[int]:
    """The processes that answer a few dozen requests, each of which is on our loop."""
    found = [asked(port, "/loop") for _ in range(40)]
    assert {answer["loop"] for answer in found if isinstance(answer, dict)} == {"fenshen"}
    return {answer["process"] for answer in found if isinstance(answer, dict)}


def test_workers(tmp_path: Path) -> None:
    command = [*RUN, "-m", "uvicorn", "--app-dir", str(APPS), "fastapi_app:app", "--port", "0", "--workers", "4"]
    with serving(command, tmp_path) as server:
        port = server.port()
        until(lambda: server.text.count("Application startup complete") == 4, "four workers start")
        started = {int(number) for number in re.findall(r"Started server process \[(\d+)\]", server.text)}
        assert len(started) == 4
        answering: set[int] = set()
        until(lambda: answering.update(workers(server, port)) or answering == started, "each of the four answers")
        victim = min(started)
        os.kill(victim, signal.SIGKILL)
        until(lambda: server.text.count("Application startup complete") == 5, "the one that was killed is replaced")
        answering = set()
        until(
            lambda: answering.update(workers(server, port)) or (len(answering) == 4 and victim not in answering),
            "the new one answers with the others",
        )
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() in (0, -signal.SIGTERM)
        assert server.events().count("shutdown") == 4
        assert "fenshen:" not in server.text
        assert "Traceback" not in server.text


def test_a_loop_that_is_picked_is_kept(tmp_path: Path) -> None:
    command = [*RUN, "-m", "uvicorn", "--app-dir", str(APPS), "fastapi_app:app", "--port", "0", "--loop", "uvloop"]
    with serving(command, tmp_path) as server:
        port = server.port()
        found = asked(port, "/loop")
        assert isinstance(found, dict)
        assert (found["loop"], found["task"]) == ("uvloop", True)
        server.process.send_signal(signal.SIGTERM)
        server.ended()
        said = [line for line in server.lines if line.startswith("fenshen:")]
        assert said == [
            "fenshen: this program picks its own event loop, uvloop.Loop, and keeps it; fenshen's loop is not in use\n"
        ]
