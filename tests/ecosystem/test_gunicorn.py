"""Flask and Django over WSGI, by gunicorn's threads; their asynchronous views run on loops in these threads."""

from __future__ import annotations

import os
import random
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from commands import PYTHON

from .programs import peers
from .serving import APPS, serving, until
from .ways import RUN

pytestmark = pytest.mark.needs("flask", "django", "asgiref", "gunicorn", "httpx")

LARGE = random.Random(6).randbytes(4 << 20)
GUNICORN = ["-m", "gunicorn", "-k", "gthread", "--threads", "8", "-b", "127.0.0.1:0", "--pythonpath", str(APPS)]
WAYS = {
    "python": ([*PYTHON, *GUNICORN], {}, "asyncio"),
    "fenshen run": ([*RUN, *GUNICORN], {}, "fenshen"),
    "FENSHEN=1": ([*PYTHON, *GUNICORN], {"FENSHEN": "1"}, "fenshen"),
}

each_app = pytest.mark.parametrize("app", ["flask_app", "django_app"])
each_way = pytest.mark.parametrize("way", WAYS)


@each_app
@each_way
def test_views(app: str, way: str, tmp_path: Path) -> None:
    import httpx

    command, env, loop = WAYS[way]
    with serving([*command, f"{app}:app"], tmp_path, **env) as server:
        port = server.port()
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base, timeout=60) as client, ThreadPoolExecutor(20) as pool:
            assert client.get("/loop").json()["loop"] == loop
            assert client.post("/echo", content=LARGE).content == LARGE
            assert client.get("/count/5000").text.splitlines() == [str(number) for number in range(5000)]
            assert [job.text for job in pool.map(client.get, ["/meet"] * 8)] == ["met"] * 8
            assert {job.json()["loop"] for job in pool.map(client.get, ["/loop"] * 100)} == {loop}
            bodies = [LARGE[: number * 3000] for number in range(100)]
            assert [job.content for job in pool.map(lambda body: client.post("/echo", content=body), bodies)] == bodies
            unfinished = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nfew"
            list(pool.map(lambda _: peers.vanishing(port, unfinished), range(10)))
            assert client.get("/loop").json()["loop"] == loop


@each_app
@each_way
def test_workers_are_replaced_and_requests_end(app: str, way: str, tmp_path: Path) -> None:
    import httpx

    command, env, loop = WAYS[way]
    with serving([*command, "-w", "2", f"{app}:app"], tmp_path, **env) as server, ThreadPoolExecutor(4) as pool:
        base = f"http://127.0.0.1:{server.port()}"
        until(lambda: server.text.count("Booting worker") == 2, "two workers start")
        victim, other = map(int, re.findall(r"Booting worker with pid: (\d+)", server.text))
        os.kill(victim, signal.SIGKILL)
        until(lambda: server.text.count("Booting worker") == 3, "the one that was killed is replaced")

        def process() -> int:
            found = httpx.get(f"{base}/loop", timeout=60).json()
            assert found["loop"] == loop
            return found["process"]

        answering: set[int] = set()
        until(lambda: answering.add(process()) or len(answering) == 2, "both workers answer")
        assert victim not in answering
        assert other in answering
        jobs = [pool.submit(httpx.get, f"{base}/slow", timeout=60) for _ in range(4)]
        until(lambda: server.events().count("slow began") == 4, "four requests are in flight")
        server.process.send_signal(signal.SIGTERM)
        assert [job.result().text for job in jobs] == ["done"] * 4
        assert server.ended() == 0
        assert "fenshen:" not in server.text
        assert "Traceback" not in server.text
