"""Turns samples into numbers, a verdict for each target, and a text in Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from itertools import groupby, zip_longest
from typing import NamedTuple

from .found import Found, Part
from .measure import FLOOR, OF_POOLS, Plan, Sample, Samples
from .workloads import BEST_PEER, Limit, Target, Workload

Taken = Sequence[Sample | None]
ByName = Mapping[str, Taken]
CPU_COUNTS = ("threads", "ipc", *OF_POOLS)


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


def samples_of(name: str, by_name: ByName) -> Taken:
    """Of a contender; of the best peer, those of each round's fastest."""
    if name != BEST_PEER:
        return by_name.get(name, [])
    peers = [taken for name, taken in by_name.items() if name != FLOOR and not name.startswith("fenshen")]
    rounds = zip_longest(*peers)
    return [
        max((sample for sample in taken if sample), key=lambda sample: sample.rate, default=None) for taken in rounds
    ]


def verdict(workload: Workload, by_name: ByName, name: str, target: Target | None = None) -> Verdict | None:
    """Against its target, or another one; `None` where there is none or nothing to compare with."""
    target = target or workload.target
    if target is None:
        return None
    ours, theirs = by_name.get(name, []), samples_of(target.of, by_name)
    found = ratio(ours, theirs)
    by_cpu = cheaper(ours, theirs) if workload.load or workload.kind in CPU_COUNTS else None
    return Verdict(found, found.median >= target.factor, by_cpu) if found else None


def kept(limit: Limit, by_name: ByName, name: str) -> Verdict | None:
    """Whether a limit was kept, one of none at all in every round; `None` where it was not measured."""

    def of(name: str) -> list[float | None]:
        return [sample and sample.more[limit.what] for sample in by_name.get(name, [])]

    ours = of(name)
    theirs = of(limit.of) if limit.of else [1.0] * len(ours)
    found = spread([a / b for a, b in zip(ours, theirs, strict=False) if a is not None and b])
    return Verdict(found, (found.median if limit.factor else found.high) <= limit.factor) if found else None


def number(value: float) -> str:
    """Three digits and a unit: 1.23 M, 456 k, 78."""
    for size, unit in ((1e6, " M"), (1e3, " k"), (1.0, "")):
        if value >= size:
            digits = value / size
            return f"{digits:.{2 if digits < 10 else 1 if digits < 100 else 0}f}{unit}"
    return f"{value:.2f}"


def where(found: Found, part: Part) -> str:
    """On what a run was, and with which versions of whom."""
    contenders = found.plan.table.contenders
    versions = {contenders[name].package(): version for name, version in part.versions.items() if name in contenders}
    peers = "".join(f", {package} {version}" for package, version in versions.items() if version)
    return part.setting.where(peers)


def heading(found: Found) -> list[str]:
    """How and on what it was measured; of a part that another run measured, its titles too."""
    main, *others = found.parts
    lines = [*([f"**{main.setting.warning()}**", ""] if main.setting.disturbed() else []), where(found, main), ""]
    lines += [line.format(rounds=counted(main.rounds), seconds=main.seconds) for line in found.plan.table.how]
    lines += ["", main.note] * bool(main.note)
    for part in others:
        titles = "; ".join(workload.title for workload in found.workloads(part))
        warning = f"{part.setting.warning()} " if part.setting.disturbed() else ""
        lines += ["", f"By a run of its own, of {counted(part.rounds)} of {part.seconds:g} s: {titles}."]
        lines += ["", f"{warning}{where(found, part)}{' ' * bool(part.note)}{part.note}"]
    if found.absent:
        lines += ["", f"Not installed there, and left out: {', '.join(found.absent)}."]
    return lines


def counted(rounds: int) -> str:
    return f"{rounds} round{'s' * (rounds != 1)}"


def ratio_text(found: Spread | None) -> str:
    return f"{found.median:.2f}x ({found.low:.2f}-{found.high:.2f})" if found else "-"


def figures(found: Verdict) -> str:
    """The ratio, and, where that is compared too, that of the CPU."""
    return ratio_text(found.ratio) + (f", by CPU {found.cpu.median:.2f}x" if found.cpu else "")


def verdict_text(found: Verdict | None) -> str:
    if not found:
        return "-"
    return f"{figures(found)} {'hit' if found.hit else '**miss**'}"


def summary(plan: Plan, samples: Samples) -> list[str]:
    """Every target and whether it is met."""
    ours = [name for name in plan.table.ours if name in plan.contenders]
    lines = [
        f"| workload | target | {' | '.join(ours)} |",
        f"|---|---|{'---|' * len(ours)}",
    ]
    for workload in plan.workloads if ours else []:
        by_name = samples[workload.name]
        for target in workload.targets:
            cells = [verdict_text(verdict(workload, by_name, name, target)) for name in ours]
            lines.append(f"| {workload.title} | {target} | {' | '.join(cells)} |")
        for limit in workload.limits:
            cells = [verdict_text(kept(limit, by_name, name)) for name in ours]
            lines.append(f"| {workload.title}: {limit.what} | {limit} | {' | '.join(cells)} |")
    return lines if len(lines) > 2 else []


def slower(plan: Plan, samples: Samples) -> list[str]:
    """Where one of ours does less than the standard library's."""
    lines = []
    for workload in [each for each in plan.workloads if each.kind != "timeouts"]:
        for name in plan.table.ours:
            found = verdict(workload, samples[workload.name], name, Target(1, plan.table.reference))
            if found and not found.hit:
                lines.append(f"- {workload.title}: {name}, {figures(found)}")
    return lines


def details(workload: Workload, by_name: ByName, base: str) -> list[str]:
    """One workload, a line for each that was measured."""
    more = next((list(sample.more) for taken in by_name.values() for sample in taken if sample), [])
    columns = "".join(f" {each} |" for each in more)
    lines = [
        f"### {workload.title}",
        "",
        f"| | {workload.unit}/s | least-greatest | CPU µs each | times {base} |{columns}",
        f"|---|--:|:-:|--:|:-:|{'--:|' * len(more)}",
    ]
    for name, samples in by_name.items():
        rates, costs = rate(samples), cpu(samples)
        if rates is None or costs is None:
            lines.append(f"| {name} | - | | | |{' |' * len(more)}")
            continue
        ends = f"{number(rates.low)} - {number(rates.high)}"
        against = ratio_text(ratio(samples, by_name.get(base, [])))
        others = "".join(f" {number(middle(samples, each))} |" for each in more)
        spent = f"{costs.median:.2f}" if costs.median else "-"
        lines.append(f"| {name} | {number(rates.median)} | {ends} | {spent} | {against} |{others}")
    return [*lines, ""]


def cells(title: str, workloads: list[Workload], samples: Samples, plan: Plan) -> list[str]:
    """Many workloads that are alike: a line each, a column for each that does any of it, and our ratios."""
    base, ours = plan.table.base, [name for name in plan.table.ours if name in plan.contenders]
    known = dict.fromkeys(name for workload in workloads for name in samples[workload.name])
    everyone = [name for name in known if name in (base, *ours) or does(name, workloads, samples)]
    heads = [*everyone, *[f"{name}, times {base}" for name in ours]]
    measured = "server" if workloads[0].load else "processes" if workloads[0].kind == "ipc" else "process"
    lines = [
        f"### {title}",
        "",
        f"{workloads[0].unit.capitalize()}/s, and CPU µs of the {measured} for each.",
        "",
        f"| | {' | '.join(heads)} |",
        f"|---|{'--:|' * len(everyone)}{':-:|' * len(ours)}",
    ]
    for workload in workloads:
        by_name = samples[workload.name]
        row = [cell_text(by_name.get(name, [])) for name in everyone]
        row += [ratio_text(ratio(by_name.get(name, []), by_name.get(base, []))) for name in ours]
        lines.append(f"| {workload.cell.row if workload.cell else ''} | {' | '.join(row)} |")
    return [*lines, ""]


def does(name: str, workloads: list[Workload], samples: Samples) -> bool:
    """Whether it has any of what these workloads need."""
    return any(sample for workload in workloads for sample in samples[workload.name].get(name, []))


def cell_text(samples: Taken) -> str:
    rates, costs = rate(samples), cpu(samples)
    if rates is None or costs is None:
        return "-"
    more = [f", {number(middle(samples, each))} {each}" for each in next(sample.more for sample in samples if sample)]
    return f"{number(rates.median)}, {number(costs.median)} µs{''.join(more)}"


def middle(samples: Taken, what: str) -> float:
    """The median of something else that was measured."""
    return statistics.median(sample.more[what] for sample in samples if sample)


def lateness(title: str, workloads: list[Workload], samples: Samples) -> list[str]:
    """Timeouts: a line for each number of busy threads and each whose timeouts they are."""
    taken = [(each, name, found) for each in workloads for name, found in samples[each.name].items() if any(found)]
    columns = next((list(sample.more) for _, _, found in taken for sample in found if sample), [])
    lines = [f"### {title}", "", f"| | | {' | '.join(columns)} |", f"|---|---|{'--:|' * len(columns)}"]
    for workload, name, found in taken:
        row = [number(middle(found, each)) for each in columns]
        lines.append(f"| {workload.cell.row if workload.cell else ''} | {name} | {' | '.join(row)} |")
    return [*lines, ""]


def every_workload(plan: Plan, samples: Samples) -> list[str]:
    """All the tables, in the workloads' order."""
    lines = []
    for table, members in groupby(plan.workloads, key=lambda workload: workload.cell and workload.cell.table):
        alike = list(members)
        if table and alike[0].kind == "timeouts":
            lines += lateness(table, alike, samples)
        elif table:
            lines += cells(table, alike, samples, plan)
        else:
            for workload in alike:
                lines += details(workload, samples[workload.name], plan.table.base)
    return lines


def markdown(found: Found, picture: str, index: str) -> str:
    """The whole text, beside a picture and the page of all families."""
    plan, samples = found.plan, found.samples
    see = f"All families on one page: [{index}]({index})."
    lines = [f"# {plan.table.title}", "", *heading(found), "", see, "", f"![Ours and the rest]({picture})", ""]
    targets = summary(plan, samples)
    if targets:
        lines += ["## Targets", "", *targets, ""]
    if found.failures:
        lines += ["## What failed", "", *[f"- {failure}" for failure in found.failures], ""]
    behind = slower(plan, samples)
    if behind:
        lines += [f"## Slower than {plan.table.reference}", "", *behind, ""]
    lines += ["## Every workload", "", *every_workload(plan, samples)]
    lines += ["`make bench` measures again, on your machine; `make bench-publish` writes this page."]
    return "\n".join(lines) + "\n"
