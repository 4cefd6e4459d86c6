"""The parent: a process for each module, a watchdog over it, and a fresh process for what a hang or a crash left."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .suites import stock

HERE = Path(__file__).parent
SILENCE = float(os.environ.get("FENSHEN_CONFORMANCE_SILENCE", "30"))
"""Seconds without a test starting or ending before a process counts as hung. CPython's slowest takes 8 here."""
LIMIT = float(os.environ.get("FENSHEN_CONFORMANCE_LIMIT", "600"))
"""Seconds for all the processes of a module together, after which none is begun. CPython's slowest takes 90."""


@dataclass
class Outcome:
    """How one test ended: `passed`, `failed` or `skipped`; a hang and a crash are failures, `text` says so."""

    id: str
    outcome: str
    text: str = ""
    seconds: float = 0.0
    retried: bool = False
    """Failed at first and passed in a process of its own."""
    environment: bool = False
    """The standard library's own types fail it on this machine too."""

    @property
    def last_line(self) -> str:
        """The error itself, without its traceback."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        plain = [line for line in lines if not line.startswith(" ")]
        return (plain or lines or [""])[-1][:300]


@dataclass
class Run:
    """The tests of one module under one peer."""

    module: str
    peer: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: float = 0.0
    said: list[str] = field(default_factory=list)
    """What we printed while no test listened: reports of deadlocks, say, where there are none."""

    def ended(self, outcome: str) -> list[Outcome]:
        """Those that ended so."""
        return [each for each in self.outcomes.values() if each.outcome == outcome]


class _Process:
    """One child, the lines it writes, and what it printed."""

    def __init__(self, job: dict[str, Any], folder: str, log: IO[bytes]) -> None:
        reader, writer = os.pipe()
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FENSHEN"))}
        env["PYTHONPATH"] = str(HERE.parent)
        command = [sys.executable, "-m", "conformance.child", json.dumps({**job, "fd": writer})]
        self.log = log
        self.fd = reader
        self.child = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            pass_fds=(writer,),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        os.close(writer)

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it says, until it ends or is silent for too long.

        Raises:
            TimeoutError: it was silent for `SILENCE` seconds.
        """
        rest, heard = b"", time.monotonic()
        while True:
            over = self.child.poll() is not None  # asked first: what it wrote before its end is read below
            if select.select([self.fd], [], [], 0 if over else 0.1)[0]:
                got = os.read(self.fd, 1 << 16)
                *whole, rest = (rest + got).split(b"\n")
                if whole:
                    heard = time.monotonic()
                for line in whole:
                    yield json.loads(line)
                if got:
                    continue
            if over:  # the end of the pipe may never come: processes it started can hold it
                return
            if time.monotonic() - heard > SILENCE:
                raise TimeoutError

    def end(self) -> str:
        """Make sure that it and what it started are gone; what it printed."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGABRT)  # faulthandler prints the stacks, in what was forked too
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(2)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        os.close(self.fd)
        self.log.seek(0)
        return self.log.read().decode(errors="replace")


def _run_process(run: Run, job: dict[str, Any]) -> str | None:
    """One process; if it was killed or died, the failure is recorded and the last test it began is returned."""
    current, last, done, fate = "", job["after"], False, ""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        process = _Process(job, folder, log)
        try:
            for line in process.lines():
                if line["event"] == "start":
                    current = last = line["id"]
                elif line["event"] == "end":
                    current = ""
                    run.outcomes[line["id"]] = Outcome(line["id"], line["outcome"], line["text"], line["seconds"])
                else:
                    done = True
        except TimeoutError:
            fate = f"hung: no test started or ended for {SILENCE:.0f} s"
        finally:
            printed = process.end()
    run.said += [line for line in printed.splitlines() if line.startswith("fenshen:")]
    if done and not fate and process.child.returncode == 0:
        return None
    fate = fate or f"the process died, status {process.child.returncode}: {(printed.splitlines() or ['silently'])[-1]}"
    name = current or f"{run.module} (outside any test, after {last or 'its start'})"
    run.outcomes[name] = Outcome(name, "failed", f"{printed[-4000:]}\n{fate}", SILENCE if "hung" in fate else 0.0)
    return last if last != job["after"] else None


def run_once(
    module: str,
    peer: str,
    only: Sequence[str] | None = None,
    folder: str | None = None,
    until: float | None = None,
) -> Run:
    """Run a module's tests, or only some of them; after a hang or a crash a new process goes on with the rest.

    `only` names tests, or classes by their first part: `test_events.HandleTests`. `folder` holds modules that CPython
    hasn't. `until`, by `time.monotonic()`, no process is begun any more; `LIMIT` from now if not given.
    """
    run = Run(module, peer)
    began = time.monotonic()
    until = began + LIMIT if until is None else until
    last: str | None = ""
    while last is not None:
        last = _run_process(run, {"module": module, "peer": peer, "only": only, "after": last, "folder": folder})
        if last is not None and time.monotonic() > until:
            name = f"{module} (the rest, after {last})"
            run.outcomes[name] = Outcome(name, "failed", f"not run: {LIMIT:.0f} s were over")
            break
    run.seconds = time.monotonic() - began
    return run


def _pardon_ends(run: Run, again: Run) -> None:
    """A process that does not end for what a failed test left in it: the second chance of its tests is its own, too."""
    if again.ended("failed"):
        return
    for name in [each.id for each in run.ended("failed") if "(outside any test, after" in each.id]:
        run.outcomes[name] = Outcome(name, "passed", retried=True)


def run_module(
    module: str,
    peer: str,
    only: Sequence[str] | None = None,
    expected: Sequence[str] = (),
    folder: str | None = None,
) -> Run:
    """As `run_once`, then give each failure that is not `expected` a second chance in a fresh process.

    What fails twice is tried on the standard library's own types: if that fails too, the machine is to blame.
    """
    until = time.monotonic() + LIMIT
    run = run_once(module, peer, only, folder, until)
    failed = [each.id for each in run.ended("failed") if each.id not in expected and " (" not in each.id]
    if not failed or time.monotonic() > until:
        return run
    again = run_once(module, peer, failed, folder, until)
    for name, outcome in again.outcomes.items():
        if outcome.outcome == "passed":
            outcome.retried = True
            run.outcomes[name] = outcome
    _pardon_ends(run, again)
    still = [name for name in failed if run.outcomes[name].outcome == "failed"]
    if still and time.monotonic() < until and peer != stock(module):
        for name in (each.id for each in run_once(module, stock(module), still, folder, until).ended("failed")):
            if name in run.outcomes:
                run.outcomes[name].environment = True
    run.seconds += again.seconds
    return run
