"""The service that ends in order: what was begun is finished, new clients are refused; cancelled when grace is over."""

from __future__ import annotations

import signal
import socket
import sys

from commands import RUN, end, needs_native, start

pytestmark = needs_native


def test_show(examples):
    done = end(start([sys.executable, str(examples / "shutdown.py"), "--show"]))
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[1] == "begun: a line of mine"
    assert "SIGTERM: no new connections, and what runs may end" in lines
    assert "finished: a line of mine" in lines
    assert "the client got: 14; another one was refused" in lines
    assert lines[-1] == "ended with status 0"


def test_grace(examples):
    """What takes longer than the grace is cancelled."""
    service = start([*RUN, str(examples / "shutdown.py"), "--work", "600", "--grace", "0.2"])
    port = int(service.stdout.readline().split()[-1])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"long\n")
        assert service.stdout.readline() == "begun: long\n"
        service.send_signal(signal.SIGTERM)
        done = end(service)
        assert client.recv(10) == b""
    assert done.status == 0, done.err
    assert done.out.splitlines() == ["SIGTERM: no new connections, and what runs may end", "cancelled: long"]
