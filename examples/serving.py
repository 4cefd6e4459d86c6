"""A process of `web_server.py`, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent


@contextlib.contextmanager
def web_server(folder: Path | str, *options: str) -> Iterator[str]:
    """Serve a folder: the server's address, as `http://127.0.0.1:PORT`."""
    command = [sys.executable, "-m", "fenshen", "run", str(HERE / "web_server.py"), str(folder), *options]
    pipe = subprocess.PIPE
    # Nobody needs to hear that a server on a busy machine is slow.
    quiet = os.environ | {"FENSHEN_QUIET": "1"}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=quiet) as server:
        assert server.stdin
        assert server.stdout
        try:
            port = server.stdout.readline().strip()
            if not port:
                raise RuntimeError(f"the web server did not start (exit status {server.wait()})")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stdin.close()
