"""Takes the measurements: rounds outermost, loops in turn within a workload, each in a fresh process on one core."""

import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .workloads import Workload

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
FLOOR = "floor"


class Sample(NamedTuple):
    """One measurement."""

    rate: float  # operations a second
    cpu: float  # microseconds of CPU an operation
    more: Mapping[str, float] = {}  # what else was measured, by its name and unit


class Missing:
    """A peer does not have what the workload needs."""


class Plan(NamedTuple):
    """What is to be measured."""

    workloads: list[Workload]
    loops: list[str]
    rounds: int
    seconds: float


# by workload, then by loop, a sample for each round; None where the measurement failed or the loop does not have it
Samples = dict[str, dict[str, list[Sample | None]]]


def contenders(workload: Workload, loops: list[str]) -> list[str]:
    """Which loops a workload is for: process start-up is python's or ours, and only servers have a floor."""
    if workload.kind == "startup":
        return [loop for loop in loops if loop in ("asyncio", "fenshen (installed)")]
    return [*loops, FLOOR] if workload.kind in ("echo", "accept") and floor_program() else loops


def cores() -> tuple[int, int]:
    """The core that measures and the one that the load runs on: the last and the first that we may use."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[-1], usable[0]


@functools.cache
def floor_program() -> str:
    """The program in `benchmarks/floor`, built; an empty string where there is no cargo."""
    if shutil.which("cargo") is None:
        return ""
    target = ROOT / "target"
    build = ["cargo", "build", "--quiet", "--release", "--package", "fenshen-floor", "--target-dir", str(target)]
    subprocess.run(build, cwd=ROOT, check=True)
    return str(target / "release" / "floor")


def take(loop: str, workload: Workload, seconds: float) -> Sample | Missing | str:
    """One measurement, or that the loop does not have it, or what went wrong."""
    core, load_core = cores()
    floor = floor_program() if workload.load else ""
    if workload.load and not floor:
        return "cargo was not found, and the load generator is in Rust"
    words = [loop, workload.name, str(seconds), str(core), str(load_core), floor]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "FENSHEN"))}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.child", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60 + 20 * seconds,
        )
    except subprocess.TimeoutExpired:
        return "it did not end"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"exit status {done.returncode}"
    measured = json.loads(done.stdout)
    if measured is None:
        return Missing()
    rate = measured["operations"] / measured["seconds"]
    return Sample(rate, measured["cpu"] / measured["operations"] * 1e6, measured["more"])


def rounds(plan: Plan) -> Iterator[tuple[int, Workload, str]]:
    """Everything in turn; each round begins with another loop, so that none is always first."""
    for number in range(plan.rounds):
        for workload in [each for each in plan.workloads if number < each.rounds]:
            names = contenders(workload, plan.loops)
            for index in range(len(names)):
                yield number, workload, names[(index + number) % len(names)]


def measure(plan: Plan) -> tuple[Samples, list[str]]:
    """All samples, and a line for each measurement that failed."""
    samples: Samples = {each.name: {loop: [] for loop in contenders(each, plan.loops)} for each in plan.workloads}
    failures: list[str] = []
    for number, workload, loop in rounds(plan):
        progress(f"round {number + 1} of {plan.rounds}: {workload.title}, {loop}")
        sample = take(loop, workload, plan.seconds)
        if isinstance(sample, str):
            failures.append(f"{workload.title}, {loop}, round {number + 1}: {sample}")
        samples[workload.name][loop].append(sample if isinstance(sample, Sample) else None)
    progress("")
    return samples, failures


def progress(text: str) -> None:
    """One line on a terminal that is written over; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
