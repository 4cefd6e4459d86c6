"""What is done to the whole program: it is killed, or interrupted. Each is started here, and looked at afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

from ..marks import INNER, end, left_over
from ..places import SHM, listed
from ..table import Peer, row

CLEAN = "nothing is left"


class Program:
    """`programs.py` at work, in a process group and under a mark of its own."""

    def __init__(self, what: str, peer: Peer) -> None:
        self.mark = uuid.uuid4().hex
        self.errors = open(f"errors-{self.mark}", "w+")  # noqa: SIM115 - read when the program has ended
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fault_table.programs", what, peer.__name__],
            env={**os.environ, INNER: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            start_new_session=True,
            text=True,
        )
        line = self.process.stdout.readline()
        if line != "ready\n":
            self.errors.seek(0)
            end(self.mark)
            raise RuntimeError(f"the program said {line!r} and {self.errors.read()[-2000:]}")

    def noise(self) -> int:
        """How many tracebacks it printed."""
        self.errors.seek(0)
        return self.errors.read().count("Traceback (most recent call last)")


def _parent_killed(peer: Peer, what: str) -> str:
    before = listed(SHM)
    program = Program(what, peer)
    program.process.kill()
    program.process.wait()
    time.sleep(1)
    orphans, files = left_over(program.mark, 0), listed(SHM) - before
    end(program.mark)
    for each in files:
        left = Path(SHM, each)
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    words = [f"{len(orphans)} orphans"] * bool(orphans) + [f"{len(files)} left in {SHM}"] * bool(files)
    return ", ".join(words) or CLEAN


@row("program SIGKILLed while its pool is idle, one second later", CLEAN)
def parent_killed_idle(peer: Peer) -> str:
    return _parent_killed(peer, "idle")


@row("program SIGKILLed while tasks sleep, one second later", CLEAN)
def parent_killed_sleeping(peer: Peer) -> str:
    return _parent_killed(peer, "sleeping")


@row("program SIGKILLed while tasks hold the interpreter in C, one second later", CLEAN)
def parent_killed_in_c(peer: Peer) -> str:
    return _parent_killed(peer, "in_c")


def _interrupted(peer: Peer, what: str, status: int) -> str:
    program = Program(what, peer)
    os.killpg(program.process.pid, signal.SIGINT)
    try:
        program.process.wait(8)
    except subprocess.TimeoutExpired:
        end(program.mark)
        return "hangs"
    orphans = left_over(program.mark, 1)
    end(program.mark)
    words = ["ends at once" if program.process.returncode == status else f"ends with {program.process.returncode}"]
    words += [f"{program.noise()} tracebacks" if program.noise() else "no traceback"]
    return ", ".join(words + [f"{len(orphans)} orphans"] * bool(orphans))


@row("Ctrl-C, once, with tasks running and tasks waiting", "ends at once, no traceback")
def interrupted(peer: Peer) -> str:
    return _interrupted(peer, "interrupted", 130)


@row("Ctrl-C, once, and the pool is not in a `with`", "ends at once, no traceback")
def interrupted_bare(peer: Peer) -> str:
    return _interrupted(peer, "interrupted_bare", -signal.SIGINT)
