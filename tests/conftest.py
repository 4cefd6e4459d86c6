"""What the tests share: running an interpreter, plain and under `fenshen run`, and comparing what comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import fenshen
import pytest

PYTHON = [sys.executable]
RUN = [sys.executable, "-m", "fenshen", "run"]
# Started so that it cannot replace itself by a new interpreter, and has to run the program where it is.
RUN_HERE = [sys.executable, "-c", "from fenshen.__main__ import main; main()", "run"]


class Outcome(NamedTuple):
    """How a process ended."""

    status: int
    out: str
    err: str


def run(
    command: list[str], *, cwd: Path | None = None, stdin: str | None = None, seconds: float = 30, **env: str
) -> Outcome:
    """Run a command to its end in a clean environment with `env` added."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FENSHEN", "PYTHON"))}
    clean.update(PYTHONDONTWRITEBYTECODE="1", **env)
    done = subprocess.run(
        command,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        env=clean,
        stdin=subprocess.DEVNULL if stdin is None else None,
    )
    addresses = re.compile(r"\b0x[0-9a-f]{6,}")
    return Outcome(done.returncode, addresses.sub("0x...", done.stdout), addresses.sub("0x...", done.stderr))


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """Writes a program into the test's folder and returns its path."""

    def write(text: str, name: str = "program.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def python(program: Callable[..., Path], tmp_path: Path) -> Callable[..., Outcome]:
    """Runs a program's text in an interpreter of its own, not under `fenshen run`."""

    def run_text(text: str, *arguments: str, **env: str) -> Outcome:
        return run([*PYTHON, str(program(text)), *arguments], cwd=tmp_path, **env)

    return run_text


needs_native = pytest.mark.skipif(fenshen.engine != "native", reason="the native engine is not built for this Python")
