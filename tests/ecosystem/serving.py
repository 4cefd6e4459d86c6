"""Servers of applications, started by their own command line in a process of their own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import start

APPS = Path(__file__).parent / "apps"
SECONDS = 60


def until(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Wait until `condition()` is true; the test fails if it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain: {what}")
        time.sleep(0.05)


class Server:
    """A server at work: its process, its port, and what it has written to stderr and stdout so far."""

    def __init__(self, command: list[str], folder: Path, **env: str):
        self.folder = folder
        self.process = start(command, cwd=folder, PYTHONUNBUFFERED="1", PYTHONFAULTHANDLER="1", **env)
        self.lines: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            self.lines.append(line)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for(self, pattern: str, seconds: float = SECONDS) -> re.Match[str]:
        """The first match in what the server writes; the test fails if it ends or stays silent."""
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.text)) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server has not written {pattern!r}, but:\n{self.text}")
            time.sleep(0.05)
        return found

    def port(self) -> int:
        """The port that it says it listens on."""
        return int(self.wait_for(r"(?:[Rr]unning on|Listening at:) (?:https?|unix)://[^ ]*:(\d+)").group(1))

    def events(self) -> list[str]:
        """What the application has written to `events.txt`."""
        file = self.folder / "events.txt"
        return file.read_text().splitlines() if file.exists() else []

    def ended(self, seconds: float = SECONDS) -> int:
        """Its exit status; the test fails if it does not end. What it wrote is complete then."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            pytest.fail(f"the server did not end:\n{self.text}")
        for reader in self._readers:
            reader.join(SECONDS)
        return status

    def kill(self) -> None:
        """End whatever is left of it and of its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def serving(command: list[str], folder: Path, **env: str) -> Iterator[Server]:
    """A server while it lasts; it is in a process group of its own, of which nothing is left over."""
    server = Server(command, folder, **env)
    try:
        yield server
    finally:
        server.kill()
