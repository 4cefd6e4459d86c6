"""A script with processes, as its author wrote it, run in each of the ways in which it comes to our types, against
itself on plain python.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import PYTHON, Outcome, end, start

from .thread_ways import PROGRAMS as THREADS
from .thread_ways import differences
from .ways import AT_ONCE, RUN, by_each

PROGRAMS = Path(__file__).parent / "processes"
LIBRARIES = Path(__file__).parent / "process_libraries"
WAYS = {
    "python": PYTHON,
    "fenshen run": RUN,
    "install": [*PYTHON, str(THREADS / "by_install.py")],
}
SECONDS = 60
# How long the helpers of a program that has ended (a resource tracker, a fork server) may take to see it.
AFTERWARDS = 10
# Ours may take half as long again, and this: what a start of the interpreter and of its children varies by.
SLACK = 1.5
SHARED = Path("/dev/shm")


class Found(NamedTuple):
    """How a program ended, and how long it took, in seconds."""

    outcome: Outcome
    took: float


def programs_own(text: str, program: Path) -> str:
    """`text` without the frames, in tracebacks, of other files than the program's, and with no process's number."""
    other = re.compile(rf'^  +File "(?!{re.escape(str(program))}")[^\n]*\n(?:    +[^\n]*\n)*', re.MULTILINE)
    return re.sub(r"\bpid \d+", "pid N", other.sub("", text))


def in_no_order(outcome: Outcome) -> Outcome:
    """For a program whose lines come as its processes run."""
    return outcome._replace(out="\n".join(sorted(outcome.out.splitlines())))


def left_processes(mark: str) -> dict[int, str]:
    """The processes that have `mark` in the environment that they were started with, and their commands."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            pass
    return found


def left_shared(before: set[str]) -> set[str]:
    """The names in `/dev/shm` that were not there `before` and that no living process has mapped."""
    left = set(os.listdir(SHARED)) - before
    for maps in Path("/proc").glob("[0-9]*/maps") if left else ():
        try:
            text = maps.read_text()
        except OSError:
            continue
        left = {name for name in left if f"{SHARED}/{name}" not in text}
    return left


def left_over(mark: str, before: set[str]) -> set[str]:
    """What is in `/dev/shm` once the program's processes have gone, `AFTERWARDS` seconds at most after its end.

    Fails the test if they have not.
    """
    limit = time.monotonic() + AFTERWARDS
    while (processes := left_processes(mark)) or (shared := left_shared(before)):
        if time.monotonic() > limit:
            if not processes:
                return shared
            for pid in processes:
                os.kill(pid, signal.SIGKILL)
            pytest.fail(f"outlive it: {processes}", pytrace=False)
        time.sleep(0.02)
    return set()


class Scripts:
    """Runs scripts by python, by `fenshen run` and after `install()`, and compares.

    A script is nobody's test: it imports nothing of ours and prints what came of it, the same in each run.
    """

    def __init__(self, folder: Path, ways: Collection[str] = tuple(WAYS)):
        self.folder = folder
        self.ways = ways

    def __call__(
        self, program: Path, *, ordered: bool = True, alone: bool = False, seconds: float = SECONDS, **env: str
    ) -> str:
        """What `program` prints in every way, on stdout; on stderr it writes the same too, our frames aside.

        Each run has an empty folder of its own as the current one, and `alone` no other beside it. It ends with status
        0 within `seconds`; nothing that it started lives on, and nothing is left in `/dev/shm`; and ours takes no
        longer than a loaded machine explains: what seems to is run again, with python, before it is believed.
        """
        outcomes = by_each(
            self.ways, lambda way: self._run(way, program, seconds, env), at_once=1 if alone else AT_ONCE
        )
        plain = outcomes.pop("python")
        assert plain.outcome.status == 0, f"python: {plain.outcome.err}\n{plain.outcome.out}"
        sort = in_no_order if not ordered else lambda outcome: outcome
        for way, found in outcomes.items():
            expected, got = sort(plain.outcome), sort(found.outcome)
            assert got == expected, f"{way}:\n{differences(expected, got)}"
            for _ in range(3):
                if found.took <= 1.5 * plain.took + SLACK:
                    break
                plain, found = self._run("python", program, seconds, env), self._run(way, program, seconds, env)
            else:
                pytest.fail(f"{way} takes {found.took:.1f} s, python {plain.took:.1f} s", pytrace=False)
        return plain.outcome.out

    def _run(self, way: str, program: Path, seconds: float, env: dict[str, str]) -> Found:
        """What it leaves in `/dev/shm` may be of another's making on this machine: it has to leave some every time."""
        for _ in range(3):
            found, left = self._run_once(way, program, seconds, env)
            if not left:
                return found
        pytest.fail(f"{way}: {left} outlive it", pytrace=False)

    def _run_once(self, way: str, program: Path, seconds: float, env: dict[str, str]) -> tuple[Found, set[str]]:
        mark = f"{program.stem}-{os.getpid()}-{time.monotonic_ns()}"
        folder = self.folder / mark
        folder.mkdir()
        before = set(os.listdir(SHARED))
        began = time.monotonic()
        command = [*WAYS[way], str(program)]
        process = start(
            command, cwd=folder, **{"SCRIPT": mark, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"} | env
        )
        try:
            out, err = process.communicate("", timeout=seconds)
        except subprocess.TimeoutExpired:
            for pid in left_processes(mark):
                os.kill(pid, signal.SIGABRT)  # for every thread's stack
            outcome = end(process, seconds=10)
            pytest.fail(f"{way} hangs, having written {outcome.out!r}\n{outcome.err}", pytrace=False)
        took = time.monotonic() - began
        outcome = Outcome(process.returncode, programs_own(out, program), programs_own(err, program))
        return Found(outcome, took), left_over(mark, before)
