"""Starts a cell, keeps it to its limit, cleans up after it, and counts what it left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import NamedTuple

from .marks import MARK, end, left_over, named
from .memory_groups import forget
from .peers import missing
from .places import SHM, listed
from .table import ROWS

HERE = Path(__file__).resolve().parent
GRACE = 1.0  # what the processes of a program that has ended may take to end, in seconds


class Cell(NamedTuple):
    """What became of a fault, and everything that was printed."""

    row: str
    peer: str
    outcome: str
    printed: str

    @property
    def skipped(self) -> bool:
        return self.outcome.startswith("skipped: ")


def play(row: str, peer: str) -> Cell:
    """Run one cell to its end, or to its limit."""
    if reason := missing(peer):
        return Cell(row, peer, f"skipped: {reason}", "")
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="fenshen-faults-", ignore_cleanup_errors=True) as folder:
        shm = Path(folder, "shm")
        shm.mkdir()
        before = listed(SHM)
        with open(Path(folder, "printed"), "wb") as printed:
            status = _run([row, peer, folder], mark, ROWS[row].limit, printed)
        orphans = [named(each) for each in left_over(mark, GRACE if status is not None else 0)]
        end(mark)
        words, private = _words(Path(folder, "outcome"), status)
        if status is not None and orphans:
            words += f", {len(orphans)} orphans"
        if files := listed(str(shm)) if private else listed(SHM) - before:
            words += f", {len(files)} left in {SHM}"
        text = Path(folder, "printed").read_text(errors="replace")
        return Cell(row, peer, words, "\n".join([text, *orphans, *sorted(files)]))


def _run(arguments: list[str], mark: str, limit: float, printed: object) -> int | None:
    """The cell's exit status; None if it had to be ended."""
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(HERE.parent), "PYTHONFAULTHANDLER": "1"}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "fault_table.cell", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=printed,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            end(mark)
            process.wait()
        forget(process.pid)


def _words(report: Path, status: int | None) -> tuple[str, bool]:
    """The cell's own words, and what its end adds to them."""
    private, *lines = report.read_text().splitlines() if report.exists() else ["shared"]
    if not lines:
        return ("hangs" if status is None else f"program dies ({status})"), private == "private"
    words = lines[0]
    if status is None:
        words += ", close hangs" if lines[-1] != "closed" else ", exit hangs"
    elif lines[-1] != "closed" or status:
        words += f", then exit status {status}"
    return words, private == "private"
