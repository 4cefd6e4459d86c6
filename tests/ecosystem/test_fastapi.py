"""FastAPI under uvicorn, asked by clients on plain blocking sockets."""

from __future__ import annotations

import hashlib
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from commands import PYTHON

from .programs import peers
from .serving import APPS, Server, serving, until
from .ways import RUN

pytestmark = pytest.mark.needs("fastapi", "uvicorn", "uvloop", "httptools", "wsproto", "websockets", "httpx")

UVICORN = ["-m", "uvicorn", "--app-dir", str(APPS), "--port", "0", "fastapi_app:app"]
# uvloop is installed, and uvicorn's default; `fenshen run` is no less a choice than `--loop`.
WAYS = {
    "asyncio": [*PYTHON, *UVICORN, "--loop", "asyncio"],
    "loop_factory": [*PYTHON, *UVICORN, "--loop", "fenshen:new_event_loop"],
    "loop_factory, in Python": [
        *PYTHON,
        *UVICORN,
        "--loop",
        "fenshen:new_event_loop",
        "--http",
        "h11",
        "--ws",
        "wsproto",
    ],
    "fenshen run": [*RUN, *UVICORN],
}
LARGE = random.Random(4).randbytes(8 << 20)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=WAYS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it as it was; at the end it is asked to go, and does."""
    folder = tmp_path_factory.mktemp("fastapi")
    (folder / "large.bin").write_bytes(LARGE)
    with serving(WAYS[request.param], folder) as server:
        import httpx

        loop = httpx.get(f"http://127.0.0.1:{server.port()}/loop").json()
        assert loop["loop"] == ("asyncio" if request.param == "asyncio" else "fenshen")
        assert loop["task"] is True
        yield server
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() == -signal.SIGTERM
        assert server.events()[0] == "startup"
        assert server.events()[-1] == "shutdown"
        assert server.text.count("Traceback") == server.text.count("ZeroDivisionError: on purpose"), server.text


@pytest.fixture
def client(server: Server) -> Iterator[object]:
    import httpx

    with httpx.Client(base_url=f"http://127.0.0.1:{server.port()}", timeout=60) as client:
        yield client


def test_items(client) -> None:
    assert client.get("/items/1000").status_code == 404
    number = client.post("/items", json={"name": "tea", "price": 2.5, "tags": ["hot"]}).json()["number"]
    assert client.get(f"/items/{number}").json() == {"name": "tea", "price": 2.5, "tags": ["hot"]}
    refused = client.post("/items", json={"name": "tea"})
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["body", "price"]


def test_documentation(client) -> None:
    assert "swagger-ui" in client.get("/docs").text
    assert "redoc" in client.get("/redoc").text
    schema = client.get("/openapi.json").json()
    assert schema["info"]["title"] == "Shop"
    assert {"/items", "/upload", "/loop"} <= set(schema["paths"])


def test_a_plain_function_runs_in_a_thread(client) -> None:
    assert client.get("/sync").json() == {"on the loop": False}


def test_an_error_is_a_500(client, server: Server) -> None:
    assert client.get("/error").status_code == 500
    server.wait_for("ZeroDivisionError: on purpose")


def test_large_bodies(client) -> None:
    found = client.post("/upload", files={"file": ("large.bin", LARGE)}).json()
    assert found == {"name": "large.bin", "size": len(LARGE), "digest": hashlib.sha256(LARGE).hexdigest()}
    assert client.post("/echo", content=LARGE).content == LARGE
    pieces = (LARGE[at : at + 33_333] for at in range(0, len(LARGE), 33_333))
    assert client.post("/echo", content=pieces).content == LARGE
    assert client.get("/file").content == LARGE
    part = client.get("/file", headers={"Range": "bytes=70000-7000000"})
    assert (part.status_code, part.content) == (206, LARGE[70_000:7_000_001])


def test_many_at_once(client) -> None:
    def one(number: int) -> bool:
        body = LARGE[number : number * 1000]
        return all(client.post("/echo", content=body).content == body for _ in range(5))

    with ThreadPoolExecutor(30) as pool:
        assert all(pool.map(one, range(100)))


def test_websockets(server: Server) -> None:
    from websockets.sync.client import connect

    before = server.events().count("socket closed")
    with connect(f"ws://127.0.0.1:{server.port()}/socket", max_size=None) as connection:
        for text in ("words", "", "分身 x"):
            connection.send(text)
            assert connection.recv(60) == text.upper()
        for size in (0, 125, 126, 65_535, 65_536, 8 << 20):
            connection.send(LARGE[:size])
            assert connection.recv(60) == LARGE[:size]
    until(lambda: server.events().count("socket closed") > before, "the server sees the close")
    upgrade = (
        b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    before = server.events().count("socket closed")
    for _ in range(5):
        peers.vanishing(server.port(), upgrade, 100)
    until(lambda: server.events().count("socket closed") == before + 5, "the server sees that the clients have gone")


def test_rude_clients(client, server: Server) -> None:
    port = server.port()
    head = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    answer = peers.byte_by_byte(port, b"POST /echo" + head + b"Content-Length: 5\r\n\r\nhello")
    assert b"200 OK" in answer
    assert b"hello" in answer
    assert b"400 Bad Request" in peers.at_once(port, b"\x16\x03\x01 nonsense\r\n\r\n")
    unfinished = b"POST /echo" + head + b"Content-Length: 99999\r\n\r\nfew"
    before = server.events().count("stream ended")
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: peers.half_closing(port, unfinished), range(10)))
        list(pool.map(lambda _: peers.vanishing(port, unfinished), range(10)))
        list(
            pool.map(lambda taken: peers.vanishing(port, b"GET /file" + head + b"\r\n", taken), range(0, 100_000, 9999))
        )
        list(pool.map(lambda _: peers.vanishing(port, b"GET /endless" + head + b"\r\n", 1000), range(10)))
    until(lambda: server.events().count("stream ended") == before + 10, "every stream ends with its client")
    assert client.get("/file").content == LARGE


def test_a_slow_reader_holds_up_nobody(client, server: Server) -> None:
    with peers.connected(server.port(), receive_buffer=4096) as slow:
        slow.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert slow.recv(100)
        assert client.get("/sync").json() == {"on the loop": False}
        assert peers.rest(slow).endswith(LARGE[-1000:])


def test_sigterm_lets_requests_end(way: str, tmp_path: Path) -> None:
    import httpx
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with serving(WAYS[way], tmp_path) as server, ThreadPoolExecutor(5) as pool:
        port = server.port()
        url = f"http://127.0.0.1:{port}/slow?seconds=1.5"
        jobs = [pool.submit(httpx.get, url, timeout=60) for _ in range(5)]
        with connect(f"ws://127.0.0.1:{port}/socket") as connection:
            connection.send("x")
            assert connection.recv(60) == "X"
            until(lambda: server.events().count("slow began") == 5, "five requests are in flight")
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(60)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)
        assert [job.result().json() for job in jobs] == [{"slow": "done"}] * 5
        assert server.ended() == -signal.SIGTERM
        assert server.events()[-1] == "shutdown"
        assert "Traceback" not in server.text


def test_tls(way: str, tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    import ssl

    import httpx
    from websockets.sync.client import connect

    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    (tmp_path / "large.bin").write_bytes(LARGE)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    files = ["--ssl-keyfile", "key.pem", "--ssl-certfile", "cert.pem"]
    with serving([*WAYS[way], *files], tmp_path) as server:
        base = f"https://localhost:{server.port()}"
        with httpx.Client(base_url=base, verify=context, timeout=60) as client:
            assert client.get("/loop").json()["loop"] == ("asyncio" if way == "asyncio" else "fenshen")
            assert client.post("/echo", content=LARGE).content == LARGE
            assert client.get("/file").content == LARGE
            with ThreadPoolExecutor(20) as pool:
                answers = pool.map(lambda n: client.post("/echo", content=LARGE[: n * 5000]).content, range(50))
                assert list(answers) == [LARGE[: n * 5000] for n in range(50)]
        with connect(base.replace("https", "wss") + "/socket", ssl=context, max_size=None) as connection:
            connection.send(LARGE)
            assert connection.recv(60) == LARGE
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{base}/loop")
        assert peers.at_once(server.port(), b"GET /loop HTTP/1.1\r\nHost: x\r\n\r\n") == b""
        peers.vanishing(server.port(), b"\x16\x03\x01\x02\x00\x01\x00")
        assert httpx.get(f"{base}/sync", verify=context).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() == -signal.SIGTERM
        assert server.events()[-1] == "shutdown"
