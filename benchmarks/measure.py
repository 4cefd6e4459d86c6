"""Takes the measurements: rounds outermost, contenders in turn within a workload, each in a fresh process."""

import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import IO, NamedTuple

from . import family
from .tables import Table
from .workloads import Workload

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
FLOOR = "floor"
OF_POOLS = ("pool", "burn", "first", "served")
HUNG = "it did not end"
SLOW = 20.0  # seconds; what took longer, its start and its end included, is measured once
GRACE = 2.0  # seconds that what a program has left behind has to end by itself


class Sample(NamedTuple):
    """One measurement."""

    rate: float  # operations a second
    cpu: float  # microseconds of CPU an operation
    more: Mapping[str, float] = {}  # what else was measured, by its name and unit


class Interrupted(KeyboardInterrupt):
    """With what the rounds have found that were complete."""

    def __init__(self, rounds: int, samples: "Samples", failures: list[str]) -> None:
        super().__init__(rounds)
        self.rounds, self.samples, self.failures = rounds, samples, failures


class Missing:
    """A peer does not have what the workload needs."""


class Plan(NamedTuple):
    """What is to be measured of one table."""

    table: Table
    workloads: list[Workload]
    contenders: list[str]
    rounds: int
    seconds: float


# by workload, then by contender, a sample for each round; None where it failed or the contender does not have it
Samples = dict[str, dict[str, list[Sample | None]]]


def contenders(workload: Workload, names: list[str]) -> list[str]:
    """Which of them a workload is for; servers have a floor too."""
    if workload.contenders:
        return [name for name in (*names, FLOOR) if name in workload.contenders]
    return [*names, FLOOR] if workload.kind in ("echo", "accept") and floor_program() else names


def cores() -> tuple[int, int]:
    """The core that measures and the one that the load runs on: the last and the first that we may use."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[-1], usable[0]


@functools.cache
def floor_program() -> str:
    """The program in `benchmarks/floor`, built; an empty string where there is no cargo or it fails."""
    if shutil.which("cargo") is None:
        return ""
    target = ROOT / "target"
    build = ["cargo", "build", "--quiet", "--release", "--package", "fenshen-floor", "--target-dir", str(target)]
    if subprocess.run(build, cwd=ROOT).returncode:
        print("benchmarks: the floor was not built, and what needs it fails", file=sys.stderr)
        return ""
    return str(target / "release" / "floor")


def take(name: str, workload: Workload, seconds: float) -> Sample | Missing | str:
    """One measurement, or that the contender does not have it, or what went wrong."""
    if workload.load and not floor_program():
        return "the load generator, which is in Rust, was not built here"
    status, output, errors = run(command(name, workload, seconds), 60 + 20 * seconds)
    if status is None:
        return HUNG
    if status:
        return cause(errors) or f"exit status {status}"
    try:
        measured = json.loads(output.strip().rpartition("\n")[2])
        if measured is None:
            return Missing()
        rate = measured["operations"] / measured["seconds"]
        return Sample(rate, measured["cpu"] / measured["operations"] * 1e6, measured["more"])
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        return f"it printed no measurement: {output.strip()[-100:]}"


def cause(errors: str) -> str:
    """The last exception that a program complains of, or its last line; warnings may come after it."""
    lines = errors.strip().splitlines()
    raised = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(: |$)", line)]
    return (raised or lines or [""])[-1]


def command(name: str, workload: Workload, seconds: float) -> list[str]:
    """The program that takes one measurement."""
    core, load_core = cores()
    words = [name, workload.name, str(seconds), str(core)]
    if workload.kind in OF_POOLS:
        return [sys.executable, "-m", "benchmarks.pool_child", *words]
    return [sys.executable, "-m", "benchmarks.child", *words, str(load_core), floor_program() if workload.load else ""]


def run(command: list[str], limit: float, more: Mapping[str, str] = {}) -> tuple[int | None, str, str]:
    """Its exit status, `None` where it did not end in time, and what it printed; whatever it left behind is ended.

    It prints into files: into pipes, and a process that outlived it would keep us waiting for their end.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "FENSHEN"))}
    environment |= more
    with tempfile.TemporaryDirectory() as folder, files() as (output, errors):
        environment["TMPDIR"] = folder
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        status = None
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(limit)
        finally:
            process.kill()
            process.wait()
            family.end_all(GRACE)
        output.seek(0)
        errors.seek(0)
        return status, output.read(), errors.read()


@contextlib.contextmanager
def files() -> Iterator[tuple[IO[str], IO[str]]]:
    """What a program prints and what it complains of."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        yield output, errors


def rounds(plan: Plan) -> Iterator[tuple[int, Workload, str]]:
    """Everything in turn; each round begins with another contender, so that none is always first."""
    for number in range(plan.rounds):
        for workload in [each for each in plan.workloads if number < each.rounds]:
            names = contenders(workload, plan.contenders)
            for index in range(len(names)):
                yield number, workload, names[(index + number) % len(names)]


def measure(plan: Plan) -> tuple[Samples, list[str]]:
    """All samples, and a line for each measurement that failed. What took very long is not begun again.

    Raises Interrupted where a KeyboardInterrupt comes.
    """
    samples: Samples = {each.name: {name: [] for name in contenders(each, plan.contenders)} for each in plan.workloads}
    failures: list[str] = []
    ended: set[tuple[str, str]] = set()
    family.adopt()
    for number, workload, name in rounds(plan):
        progress(f"round {number + 1} of {plan.rounds}: {workload.title}, {name}")
        try:
            began = time.monotonic()
            sample = Missing() if (workload.name, name) in ended else take(name, workload, plan.seconds)
        except KeyboardInterrupt:
            complete = {key: {name: taken[:number] for name, taken in each.items()} for key, each in samples.items()}
            raise Interrupted(number, complete, failures) from None
        if isinstance(sample, str):
            failures.append(f"{workload.title}, {name}, round {number + 1}: {sample}")
        if sample == HUNG or (time.monotonic() - began > SLOW and name not in plan.table.ours):
            ended.add((workload.name, name))
        samples[workload.name][name].append(sample if isinstance(sample, Sample) else None)
    progress("")
    return samples, failures


def progress(text: str) -> None:
    """One line on a terminal that is written over; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
