"""A program with threads, run in each of the ways in which it comes to our types, against itself on plain python."""

from __future__ import annotations

import difflib
import os
import signal
import subprocess
from collections.abc import Collection
from pathlib import Path

import pytest
from commands import PYTHON, Outcome, end, start

from .ways import AT_ONCE, RUN, by_each

PROGRAMS = Path(__file__).parent / "threads"
# Whose types a program is to find (see threads/engine.py). After `install()` the interpreter's own locks stand below
# our queues and conditions; under `fenshen run` ours do, and deadlocks are errors.
OURS = "fenshen"
WAYS = {
    "python": PYTHON,
    "fenshen run": RUN,
    "install": [*PYTHON, str(PROGRAMS / "by_install.py")],
}
SECONDS = 60


def differences(plain: Outcome, found: Outcome) -> str:
    """What a reader wants to see first of two outcomes."""
    sides = [f"status {each.status}\n{each.out}\nstderr:\n{each.err}".splitlines() for each in (plain, found)]
    return "\n".join(difflib.unified_diff(*sides, "python", "ours", lineterm="", n=2))


class Comparison:
    """Runs a program of `threads/` by python, by `fenshen run` and after `install()`, and compares.

    A program is a `def main()` that does something real with threads and prints what came of it, whatever the order in
    which they ran; decorated with `engine.checked`, which makes sure of the types; and called `if __name__ ==
    "__main__"`.
    """

    def __init__(self, folder: Path, ways: Collection[str] = tuple(WAYS)):
        self.folder = folder
        self.ways = ways

    def __call__(self, program: str, *words: str, types: str = OURS, says: str = "", seconds: float = SECONDS) -> str:
        """What `program` prints in every way, on stdout; on stderr it writes the same too. `words` are its arguments,
        a server's address; who shares a server's tables takes turns.

        With us in place it finds these `types`, and we write after that what `says` has. Each run has an empty folder
        of its own as the current one. It must end with status 0 within `seconds`, and no process that it started may
        live on.
        """

        def run(way: str) -> Outcome:
            folder = self.folder / way.replace(" ", "_")
            folder.mkdir(exist_ok=True)
            engine = "stdlib" if way == "python" else types
            return self._run([*WAYS[way], str(PROGRAMS / program), *words], engine, folder, seconds)

        outcomes = by_each(self.ways, run, at_once=1 if words else AT_ONCE)
        plain = outcomes.pop("python")
        assert plain.status == 0, f"python: {plain.err}\n{plain.out}"
        expected = plain._replace(err=plain.err + says)
        for way, found in outcomes.items():
            assert found == expected, f"{way}:\n{differences(expected, found)}"
        return plain.out

    @staticmethod
    def _run(command: list[str], engine: str, folder: Path, seconds: float) -> Outcome:
        process = start(command, cwd=folder, EXPECTED_TYPES=engine, PYTHONFAULTHANDLER="1")
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # for every thread's stack
            out, err = process.communicate(timeout=10)
            pytest.fail(f"{command} hangs, having written {out!r}\n{err}", pytrace=False)
        outcome = end(process, seconds=10)
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        first, _, rest = outcome.out.partition(os.linesep)
        assert first == f"on {engine}", f"{command}: {outcome.err}\n{outcome.out}"
        return outcome._replace(out=rest)
