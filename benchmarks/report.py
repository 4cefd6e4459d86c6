"""Turns samples into numbers, a verdict for each target, and a text in Markdown."""

import datetime
import os
import pathlib
import platform
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from .loops import LOOPS
from .measure import Plan, Sample, Samples
from .workloads import Workload

OURS = ("fenshen (installed)", "fenshen")


class Spread(NamedTuple):
    """The median of a row of numbers, and its ends."""

    median: float
    low: float
    high: float


class Verdict(NamedTuple):
    """How one of our rows did against the workload's target."""

    ratio: Spread
    hit: bool


def spread(numbers: Sequence[float]) -> Spread | None:
    """`None` where there are none."""
    return Spread(statistics.median(numbers), min(numbers), max(numbers)) if numbers else None


def rate(samples: Sequence[Sample | None]) -> Spread | None:
    """Operations a second."""
    return spread([sample.rate for sample in samples if sample])


def cpu(samples: Sequence[Sample | None]) -> Spread | None:
    """Microseconds of CPU an operation."""
    return spread([sample.cpu for sample in samples if sample])


def ratio(of: Sequence[Sample | None], to: Sequence[Sample | None]) -> Spread | None:
    """How many times faster, round by round: what troubles one round troubles both."""
    return spread([a.rate / b.rate for a, b in zip(of, to, strict=False) if a and b])


def verdict(workload: Workload, by_loop: dict[str, list[Sample | None]], loop: str) -> Verdict | None:
    """`None` where there is no target or nothing to compare with."""
    if workload.target is None:
        return None
    found = ratio(by_loop.get(loop, []), by_loop.get(workload.target.of, []))
    return Verdict(found, found.median >= workload.target.factor) if found else None


def number(value: float) -> str:
    """Three digits and a unit: 1.23 M, 456 k, 78."""
    for size, unit in ((1e6, " M"), (1e3, " k"), (1.0, "")):
        if value >= size:
            digits = value / size
            return f"{digits:.{2 if digits < 10 else 1 if digits < 100 else 0}f}{unit}"
    return f"{value:.2f}"


def machine() -> str:
    """What it ran on, without its name."""
    model = platform.processor() or platform.machine()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {kernel}"


def heading(plan: Plan) -> list[str]:
    """How and on what it was measured."""
    versions = {LOOPS[loop].module: LOOPS[loop].version() for loop in plan.loops}
    peers = ", ".join(f"{module} {version}" for module, version in versions.items() if version)
    return [
        f"{machine()}. CPython {platform.python_version()}, {peers}. {datetime.date.today():%d %B %Y}.",
        "",
        f"{plan.rounds} rounds; in each, every loop in turn, each measurement in a fresh process pinned to one core, "
        f"for {plan.seconds:g} s. Rates are medians. A ratio is the median of the rounds' own ratios, with the least "
        'and the greatest behind it. "installed" is what `fenshen run` gives a program: the loop and the primitives; '
        'plain "fenshen" is the loop alone, by `loop_factory`. Each loop runs the same program text.',
    ]


def ratio_text(found: Spread | None) -> str:
    return f"{found.median:.2f}x ({found.low:.2f}-{found.high:.2f})" if found else "-"


def verdict_text(found: Verdict | None) -> str:
    return f"{ratio_text(found.ratio)} {'hit' if found.hit else '**miss**'}" if found else "-"


def summary(plan: Plan, samples: Samples) -> list[str]:
    """Every target and whether it is met."""
    ours = [loop for loop in OURS if loop in plan.loops]
    lines = [
        f"| workload | target | {' | '.join(ours)} |",
        f"|---|---|{'---|' * len(ours)}",
    ]
    for workload in plan.workloads:
        if workload.target is None or not ours:
            continue
        cells = [verdict_text(verdict(workload, samples[workload.name], loop)) for loop in ours]
        lines.append(f"| {workload.title} | {workload.target} | {' | '.join(cells)} |")
    return lines if len(lines) > 2 else []


def details(workload: Workload, by_loop: dict[str, list[Sample | None]]) -> list[str]:
    """One workload, a line a loop."""
    lines = [
        f"### {workload.title}",
        "",
        "| loop | operations/s | least-greatest | CPU µs each | times uvloop |",
        "|---|--:|:-:|--:|:-:|",
    ]
    for loop, samples in by_loop.items():
        rates, costs = rate(samples), cpu(samples)
        if rates is None or costs is None:
            lines.append(f"| {loop} | failed | | | |")
            continue
        ends = f"{number(rates.low)} - {number(rates.high)}"
        against = ratio_text(ratio(samples, by_loop.get("uvloop", [])))
        lines.append(f"| {loop} | {number(rates.median)} | {ends} | {costs.median:.2f} | {against} |")
    return [*lines, ""]


def markdown(plan: Plan, samples: Samples, failures: list[str], picture: str) -> str:
    """The whole text."""
    lines = ["# Benchmarks", "", *heading(plan), "", f"![Every loop against uvloop]({picture})", ""]
    targets = summary(plan, samples)
    if targets:
        lines += ["## Targets", "", *targets, ""]
    if failures:
        lines += ["## What failed", "", *[f"- {failure}" for failure in failures], ""]
    lines += ["## Every workload", ""]
    for workload in plan.workloads:
        lines += details(workload, samples[workload.name])
    lines += ["`make bench` measures again, on your machine; `make bench-publish` writes this page."]
    return "\n".join(lines) + "\n"


def as_json(plan: Plan, samples: Samples, failures: list[str]) -> dict[str, object]:
    """Every sample, for other programs."""
    return {
        "machine": machine(),
        "python": platform.python_version(),
        "versions": {loop: LOOPS[loop].version() for loop in plan.loops},
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "failures": failures,
        "samples": {
            name: {loop: [sample and sample._asdict() for sample in taken] for loop, taken in by_loop.items()}
            for name, by_loop in samples.items()
        },
    }
