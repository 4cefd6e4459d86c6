"""The targets that the one page shows, and how we do against each: those that the design names.

Whatever a workload is measured by, a row has a ratio of which more is better: of what has to be little (memory, waits)
it is how many times less we have.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import NamedTuple

from . import downloads
from .families import FAMILIES, workloads_of
from .found import Found
from .measure import FLOOR
from .report import ByName, Spread, kept, number, ratio, samples_of, verdict
from .tables import Table
from .workloads import BEST_PEER, Limit, Target, Workload
from .workloads.loops.connections import MEMORY, SLOWER


class Group(NamedTuple):
    """Rows under one heading: a name, its words in both languages, and the workloads, by family."""

    name: str
    english: str
    chinese: str
    workloads: Mapping[str, tuple[str, ...]]


def echo(*wires: str) -> tuple[str, ...]:
    return tuple(f"echo_{wire}_1k_{connections}" for wire in wires for connections in (10, 200))


GROUPS = (
    Group(
        "loop",
        "The loop",
        "事件循环",
        {
            "loops": (
                *("sleep0", "spawn", "ping_pong", "gather", "call_soon", "timers_fire", "timers_cancel", "threadsafe"),
                *("queue", "lock", "semaphore", "event", "run_empty"),
            )
        },
    ),
    Group(
        "io",
        "I/O, messages of 1 KiB",
        "输入输出, 消息为 1 KiB",
        {"loops": (*echo("protocol", "streams", "sock", "tls", "unix", "udp"), "crowd_protocol", "crowd_streams")},
    ),
    Group(
        "threads",
        "Threads",
        "线程",
        {
            "threads": (
                *("threads_queue_1_1", "threads_queue_1_1_100", "threads_queue_4_4", "threads_queue_4_4_100"),
                *("threads_simple_1_1", "threads_simple_4_4", "threads_lock", "threads_rlock", "threads_semaphore"),
                *("threads_submit_one", "threads_submit_1000"),
            )
        },
    ),
    Group(
        "processes",
        "Process pools",
        "进程池",
        {
            "processes": (
                *("processes_submit", "processes_map", "processes_array_100mb", "processes_cpu"),
                *("processes_first", "processes_first_numpy"),
            )
        },
    ),
    Group(
        "ipc",
        "What processes share",
        "进程间共享",
        {
            "ipc": (
                *("ipc_queue_1_1", "ipc_queue_2_2", "ipc_pipe_one_way", "ipc_pipe_duplex", "ipc_pipe_ping_pong"),
                *("ipc_lock", "ipc_manager_value", "ipc_manager_lock", "ipc_manager_event"),
                *("ipc_manager_dict", "ipc_manager_list", "ipc_manager_queue"),
            )
        },
    ),
    Group(
        "together",
        "All three together",
        "三者合一",
        {
            "together": ("together_requests",),
            "threads": ("meeting_1_1", "meeting_1_1_100", "meeting_4_4"),
            "ipc": ("ipc_common_1_1", "ipc_common_2_2"),
            "words": ("words",),
            "downloads": ("downloads",),
        },
    ),
)


LIMIT = "the limit"  # the base of what is limited to a number

# What stands in a line by itself, where the title or the limit is too long for that.
SHORT = {
    "crowd_protocol": "10,000 idle connections, Protocol",
    "crowd_streams": "10,000 idle connections, streams",
    "processes_submit": "submit, 2000 outstanding",
    "processes_cpu": "CPU work on two workers",
    "processes_first_numpy": "a new pool's first result, with numpy",
    "together_requests": "10,000 requests",
    "meeting_1_1_100": "threads to tasks, at most 100",
    "words": "words counted by map_reduce",
    "downloads": "files downloaded, 20 at once",
    MEMORY: "memory",
    SLOWER: "p99",
    downloads.MEMORY: "memory",
}


class Row(NamedTuple):
    """One target. `best` is the best peer's ratio to the same base; `why`, where `ratio` is none, says why that is."""

    family: str
    title: str
    unit: str
    target: str
    goal: float
    base: str
    ours: str = "-"
    peer: str = "-"
    ahead: Spread | None = None
    best: Spread | None = None
    ratio: Spread | None = None
    hit: bool = False
    less: bool = False
    why: str = ""

    def verdict(self) -> str:
        """In a word, or, where there is none, why."""
        return ("hit" if self.hit else "missed") if self.ratio else self.why

    def missed(self) -> bool:
        return bool(self.ratio) and not self.hit

    def number(self) -> str:
        """The median ratio; with more digits where it is missed by less than two can show."""
        if not self.ratio:
            return "-"
        median, digits = self.ratio.median, 2
        while self.missed() and digits < 6 and round(median, digits) >= self.goal:
            digits += 1
        return f"{median:.{digits}f}x"


def label(workload: Workload, target: Target | Limit) -> str:
    """The title in short; which target it is, where there are several."""
    title = SHORT.get(workload.name) or workload.title.replace(": 1 KiB, ", ", ")
    if isinstance(target, Limit):
        return f"{title}: {SHORT.get(target.what, target.what)}"
    return f"{title}, to {target.of}" if len(workload.targets) > 1 else title


def inverse(found: Spread | None) -> Spread | None:
    """How many times less, of how many times as much."""
    return Spread(1 / found.median, 1 / found.high, 1 / found.low) if found and found.low > 0 else None


def fastest(by_name: ByName, names: tuple[str, ...]) -> str:
    """The one of them with the greatest median rate; the first where none has any."""

    def middle(name: str) -> float:
        return statistics.median([sample.rate for sample in by_name.get(name, []) if sample] or [0.0])

    return max(names, key=middle)


def whom(table: Table, by_name: ByName) -> str:
    """Which of ours is shown: what `fenshen run` gives a program; of programs with several ways, the fastest."""
    return fastest(by_name, table.ours) if table.name in ("words", "downloads") else table.ours[0]


def peers(by_name: ByName) -> list[str]:
    """Who has done it, but for us and the floor."""
    return [name for name, taken in by_name.items() if any(taken) and name != FLOOR and not name.startswith("fenshen")]


def why_not(found: Found | None, workload: Workload, ours: str, base: str) -> str:
    """Why there is no ratio."""
    if found is None or workload.name not in found.samples:
        return "not measured yet"
    by_name = found.samples[workload.name]
    for name in (ours, base):
        if name in found.absent:
            return f"{name} is not installed"
        if name != BEST_PEER and not any(by_name.get(name, [])):
            return f"{name} failed" if by_name.get(name) else f"{name} was not measured"
    return "no peer was measured"


def by_rate(found: Found | None, family: str, workload: Workload, target: Target) -> Row:
    """Operations a second against a target."""
    table = FAMILIES[family]
    by_name = found.samples.get(workload.name, {}) if found else {}
    ours = whom(table, by_name)
    row = Row(family, label(workload, target), f"{workload.unit}/s", str(target), target.factor, target.of)
    if any(by_name.get(ours, [])):
        shown = number(statistics.median(sample.rate for sample in by_name[ours] if sample))
        row = row._replace(ours=f"{ours}: {shown}" if ours != table.ours[0] else shown)
    others = peers(by_name)
    if others:
        peer = max(others, key=lambda name: statistics.median(sample.rate for sample in by_name[name] if sample))
        shown = number(statistics.median(sample.rate for sample in by_name[peer] if sample))
        theirs = samples_of(target.of, by_name)
        row = row._replace(peer=f"{peer}: {shown}", best=ratio(by_name[peer], theirs))
        row = row._replace(ahead=ratio(by_name.get(ours, []), by_name[peer]))
    result = verdict(workload, by_name, ours, target)
    if result is None:
        return row._replace(why=why_not(found, workload, ours, target.of))
    return row._replace(ratio=result.ratio, hit=result.hit)


def by_limit(found: Found | None, family: str, workload: Workload, limit: Limit) -> Row:
    """What has to be little against a limit; where the limit is of nobody, against what it allows."""
    table = FAMILIES[family]
    by_name = found.samples.get(workload.name, {}) if found else {}
    ours, what = whom(table, by_name), limit.what

    def middle(name: str) -> float:
        return statistics.median(sample.more[what] for sample in by_name[name] if sample)

    row = Row(family, label(workload, limit), what, str(limit), 1 / limit.factor if limit.of else 1.0, limit.of)
    row = row._replace(less=True, base=limit.of or LIMIT)
    if any(by_name.get(ours, [])):
        shown = number(middle(ours))
        row = row._replace(ours=f"{ours}: {shown}" if ours != table.ours[0] else shown)
    if others := peers(by_name):
        peer = min(others, key=middle)
        row = row._replace(peer=f"{peer}: {number(middle(peer))}", best=less(by_name, limit, peer))
        row = row._replace(ahead=less(by_name, limit._replace(of=peer, factor=1.0), ours))
    result = kept(limit, by_name, ours)
    if result is None:
        return row._replace(why=why_not(found, workload, ours, limit.of or ours))
    return row._replace(ratio=less(by_name, limit, ours), hit=result.hit)


def less(by_name: ByName, limit: Limit, name: str) -> Spread | None:
    """How many times less than the limit's peer, or than what it allows."""
    found = inverse(result.ratio if (result := kept(limit, by_name, name)) else None)
    if not found or limit.of:
        return found
    return Spread(*(limit.factor * each for each in found))


def rows(group: Group, found: Callable[[str], Found | None]) -> list[Row]:
    """All of a group, of what has been found of each family."""
    made = []
    for family, names in group.workloads.items():
        known, measured = workloads_of(family), found(family)
        for workload in map(known.__getitem__, names):
            made += [by_rate(measured, family, workload, target) for target in workload.targets]
            made += [by_limit(measured, family, workload, limit) for limit in workload.limits]
    return made


def all_targets(found: Found) -> tuple[int, int]:
    """Of every target and limit of a family that was measured: how many there are, and how many are hit."""
    name_of = found.plan.table
    results = []
    for workload in found.plan.workloads:
        by_name = found.samples[workload.name]
        ours = whom(name_of, by_name)
        results += [verdict(workload, by_name, ours, target) for target in workload.targets]
        results += [kept(limit, by_name, ours) for limit in workload.limits]
    measured = [result for result in results if result]
    return len(measured), sum(result.hit for result in measured)
