"""Running an interpreter, plain and under `fenshen run`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import fenshen
import pytest

PYTHON = [sys.executable]
RUN = [sys.executable, "-m", "fenshen", "run"]
# Started so that it cannot replace itself by a new interpreter, and has to run the program where it is.
RUN_HERE = [sys.executable, "-c", "from fenshen.__main__ import main; main()", "run"]

needs_native = pytest.mark.skipif(fenshen.engine != "native", reason="the native engine is not built for this Python")


class Outcome(NamedTuple):
    """How a process ended."""

    status: int
    out: str
    err: str


def start(command: list[str], *, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
    """Start a command in a clean environment with `env` added, in a session of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FENSHEN", "PYTHON"))}
    clean.update(env)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=cwd, env=clean, text=True, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )


def end(process: subprocess.Popen[str], stdin: str | None = None, seconds: float = 120) -> Outcome:
    """Wait for what `start` started; addresses in its output are made equal."""
    try:
        out, err = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"did not end within {seconds} s; it wrote {out[-500:]!r} and {err[-500:]!r}")
    address = re.compile(r"\b0x[0-9a-f]{6,}")
    return Outcome(process.returncode, address.sub("0x...", out), address.sub("0x...", err))


def killed_when_it_says(words: str, process: subprocess.Popen[str], seconds: float = 120) -> Outcome:
    """Wait until what `start` started writes a line with `words` to stderr, and kill it a moment later."""
    assert process.stdout is not None
    assert process.stderr is not None
    limit = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
    limit.start()
    written = ""
    for line in process.stderr:
        written += line
        if words in line:
            time.sleep(0.3)  # for what it should not write
            break
    limit.cancel()
    os.killpg(process.pid, signal.SIGKILL)
    written += process.stderr.read()
    out = process.stdout.read()
    return Outcome(process.wait(), out, written)


def run(command: list[str], *, cwd: Path | None = None, stdin: str | None = None, **env: str) -> Outcome:
    """Run a command to its end."""
    return end(start(command, cwd=cwd, **env), stdin)
