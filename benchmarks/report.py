"""Turns samples into numbers, a verdict for each target, and a text in Markdown."""

import datetime
import os
import pathlib
import platform
import statistics
from collections.abc import Mapping, Sequence
from itertools import groupby, zip_longest
from typing import NamedTuple

from .loops import LOOPS
from .measure import FLOOR, Plan, Sample, Samples
from .workloads import BEST_PEER, Limit, Target, Workload

OURS = ("fenshen (installed)", "fenshen")

Taken = Sequence[Sample | None]
ByLoop = Mapping[str, Taken]


class Spread(NamedTuple):
    """The median of a row of numbers, and its ends."""

    median: float
    low: float
    high: float


class Verdict(NamedTuple):
    """How one of our rows did against a target of the workload; `cpu`, the same of the CPU that an operation costs."""

    ratio: Spread
    hit: bool
    cpu: Spread | None = None


def spread(numbers: Sequence[float]) -> Spread | None:
    """`None` where there are none."""
    return Spread(statistics.median(numbers), min(numbers), max(numbers)) if numbers else None


def rate(samples: Taken) -> Spread | None:
    """Operations a second."""
    return spread([sample.rate for sample in samples if sample])


def cpu(samples: Taken) -> Spread | None:
    """Microseconds of CPU an operation."""
    return spread([sample.cpu for sample in samples if sample])


def ratio(of: Taken, to: Taken) -> Spread | None:
    """How many times faster, round by round: what troubles one round troubles both."""
    return spread([a.rate / b.rate for a, b in zip(of, to, strict=False) if a and b])


def cheaper(of: Taken, to: Taken) -> Spread | None:
    """How many times less CPU an operation costs, round by round."""
    return spread([b.cpu / a.cpu for a, b in zip(of, to, strict=False) if a and b and a.cpu])


def samples_of(name: str, by_loop: ByLoop) -> Taken:
    """Of a loop; of the best peer, those of each round's fastest."""
    if name != BEST_PEER:
        return by_loop.get(name, [])
    peers = [taken for loop, taken in by_loop.items() if loop not in (*OURS, FLOOR)]
    rounds = zip_longest(*peers)
    return [
        max((sample for sample in taken if sample), key=lambda sample: sample.rate, default=None) for taken in rounds
    ]


def verdict(workload: Workload, by_loop: ByLoop, loop: str) -> Verdict | None:
    """`None` where there is no target or nothing to compare with."""
    if workload.target is None:
        return None
    ours, theirs = by_loop.get(loop, []), samples_of(workload.target.of, by_loop)
    found = ratio(ours, theirs)
    by_cpu = cheaper(ours, theirs) if workload.load else None
    return Verdict(found, found.median >= workload.target.factor, by_cpu) if found else None


def kept(limit: Limit, by_loop: ByLoop, loop: str) -> Verdict | None:
    """Whether a limit was kept; `None` where it was not measured."""

    def of(name: str) -> list[float | None]:
        return [sample and sample.more[limit.what] for sample in by_loop.get(name, [])]

    ours = of(loop)
    theirs = of(limit.of) if limit.of else [1.0] * len(ours)
    found = spread([a / b for a, b in zip(ours, theirs, strict=False) if a is not None and b])
    return Verdict(found, found.median <= limit.factor) if found else None


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
        "",
        "A server has its core to itself; the load comes from a program in Rust on another core, the same for all, "
        "that keeps one message on its way on each connection. The CPU is the server process's own, by its clock. The "
        "floor is the same load on a server that is nothing but epoll (`benchmarks/floor`; for TLS, OpenSSL on it).",
    ]


def ratio_text(found: Spread | None) -> str:
    return f"{found.median:.2f}x ({found.low:.2f}-{found.high:.2f})" if found else "-"


def figures(found: Verdict) -> str:
    """The ratio, and for a server that of the CPU."""
    return ratio_text(found.ratio) + (f", by CPU {found.cpu.median:.2f}x" if found.cpu else "")


def verdict_text(found: Verdict | None) -> str:
    if not found:
        return "-"
    return f"{figures(found)} {'hit' if found.hit else '**miss**'}"


def summary(plan: Plan, samples: Samples) -> list[str]:
    """Every target and whether it is met."""
    ours = [loop for loop in OURS if loop in plan.loops]
    lines = [
        f"| workload | target | {' | '.join(ours)} |",
        f"|---|---|{'---|' * len(ours)}",
    ]
    for workload in plan.workloads if ours else []:
        by_loop = samples[workload.name]
        if workload.target:
            cells = [verdict_text(verdict(workload, by_loop, loop)) for loop in ours]
            lines.append(f"| {workload.title} | {workload.target} | {' | '.join(cells)} |")
        for limit in workload.limits:
            cells = [verdict_text(kept(limit, by_loop, loop)) for loop in ours]
            lines.append(f"| {workload.title}: {limit.what} | {limit} | {' | '.join(cells)} |")
    return lines if len(lines) > 2 else []


def slower(plan: Plan, samples: Samples) -> list[str]:
    """Where one of ours does less than asyncio."""
    lines = []
    for workload in plan.workloads:
        against = workload._replace(target=Target(1, "asyncio"))
        for loop in OURS:
            found = verdict(against, samples[workload.name], loop)
            if found and not found.hit:
                lines.append(f"- {workload.title}: {loop}, {figures(found)}")
    return lines


def details(workload: Workload, by_loop: ByLoop) -> list[str]:
    """One workload, a line a loop."""
    more = next((list(sample.more) for taken in by_loop.values() for sample in taken if sample), [])
    columns = "".join(f" {each} |" for each in more)
    lines = [
        f"### {workload.title}",
        "",
        f"| loop | {workload.unit}/s | least-greatest | CPU µs each | times uvloop |{columns}",
        f"|---|--:|:-:|--:|:-:|{'--:|' * len(more)}",
    ]
    for loop, samples in by_loop.items():
        rates, costs = rate(samples), cpu(samples)
        if rates is None or costs is None:
            lines.append(f"| {loop} | - | | | |{' |' * len(more)}")
            continue
        ends = f"{number(rates.low)} - {number(rates.high)}"
        against = ratio_text(ratio(samples, by_loop.get("uvloop", [])))
        found = [statistics.median(sample.more[each] for sample in samples if sample) for each in more]
        others = "".join(f" {number(each)} |" for each in found)
        lines.append(f"| {loop} | {number(rates.median)} | {ends} | {costs.median:.2f} | {against} |{others}")
    return [*lines, ""]


def cells(title: str, workloads: list[Workload], samples: Samples) -> list[str]:
    """Many workloads that are alike: a line each, a column a loop."""
    loops = list(samples[workloads[0].name])
    lines = [
        f"### {title}",
        "",
        f"{workloads[0].unit.capitalize()}/s, and CPU µs of the server for each.",
        "",
        f"| | {' | '.join(loops)} |",
        f"|---|{'--:|' * len(loops)}",
    ]
    for workload in workloads:
        row = [cell_text(samples[workload.name][loop]) for loop in loops]
        lines.append(f"| {workload.cell.row if workload.cell else ''} | {' | '.join(row)} |")
    return [*lines, ""]


def cell_text(samples: Taken) -> str:
    rates, costs = rate(samples), cpu(samples)
    return f"{number(rates.median)}, {costs.median:.1f} µs" if rates and costs else "-"


def every_workload(plan: Plan, samples: Samples) -> list[str]:
    """All the tables, in the workloads' order."""
    lines = []
    for table, members in groupby(plan.workloads, key=lambda workload: workload.cell and workload.cell.table):
        alike = list(members)
        if table:
            lines += cells(table, alike, samples)
        else:
            for workload in alike:
                lines += details(workload, samples[workload.name])
    return lines


def markdown(plan: Plan, samples: Samples, failures: list[str], picture: str) -> str:
    """The whole text."""
    lines = ["# Benchmarks", "", *heading(plan), "", f"![Every loop against uvloop]({picture})", ""]
    targets = summary(plan, samples)
    if targets:
        lines += ["## Targets", "", *targets, ""]
    if failures:
        lines += ["## What failed", "", *[f"- {failure}" for failure in failures], ""]
    behind = slower(plan, samples)
    if behind:
        lines += ["## Slower than asyncio", "", *behind, ""]
    lines += ["## Every workload", "", *every_workload(plan, samples)]
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
