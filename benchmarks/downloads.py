"""The bulk downloader of the examples, by each model, beside wget2: `python -m benchmarks --only downloads`."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .measure import Plan, Sample, cause, run
from .packages import importable, version
from .setting import here
from .tables import Table
from .workloads import Limit, Target, Workload

if TYPE_CHECKING:
    from .found import Run

TOOL = "wget2"
MODELS = ("threads", "processes", "tasks", "mixed")
OURS = tuple(f"fenshen {model}" for model in MODELS)
SECONDS, MEMORY = "seconds", "MB at most"
SIZE = re.compile(r"(?P<files>\d+) files, (?P<size>[\d.]+) MB\b.*")
ROW = re.compile(r"(?P<name>\w+) +(?P<seconds>[\d.]+) +(?P<memory>[\d.]+) MB\b")
LIMIT = 600.0  # seconds that a round may take


def of_us() -> str:
    return version("fenshen")


def of_tool() -> str:
    """The version of wget2 that is installed."""
    try:
        done = subprocess.run([TOOL, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\d[\d.]+", done.stdout)
    return found[0] if found else ""


class Contender(NamedTuple):
    """One way to download."""

    name: str
    package_name: str
    here: Callable[[], bool]
    has: Callable[[], str]

    def available(self) -> bool:
        return self.here()

    def version(self) -> str:
        return self.has()

    def package(self) -> str:
        return self.package_name


TABLE = Table(
    name="downloads",
    page="benchmarks-downloads",
    title="Benchmarks of a bulk download",
    contenders={
        **{name: Contender(name, "fenshen", functools.partial(importable, "fenshen"), of_us) for name in OURS},
        TOOL: Contender(TOOL, TOOL, lambda: bool(shutil.which(TOOL)), of_tool),
    },
    base=TOOL,
    reference=TOOL,
    ours=OURS,
    colours={
        TOOL: ("#8a8f98", "#9aa0aa"),
        "fenshen threads": ("#7a3fc4", "#c49bff"),
        "fenshen processes": ("#5a2fa0", "#d8b8ff"),
        "fenshen tasks": ("#b08ad9", "#8f6cc0"),
        "fenshen mixed": ("#9a6fb8", "#a888c9"),
    },
    how=(
        "{rounds} of `python examples/downloader`, by each of its models and by wget2: everybody downloads the same "
        "files from the same local server, in a process of its own, whose start is in the time. Rates are medians. A "
        "ratio is the median of the rounds' own ratios, with the least and the greatest behind it. Memory is the peak "
        "of the PSS of the process and all that it starts. Ours compare the SHA-256 of each file, wget2 does not.",
    ),
)
WORKLOADS = {
    "downloads": Workload(
        "downloads",
        "files downloaded from a local server, 20 at once",
        1,
        Target(0.67, TOOL),
        kind="downloads",
        unit="MB",
        everywhere=True,
        limits=(Limit(MEMORY, 1, TOOL),),
    )
}


def read(printed: str) -> tuple[str, dict[str, Sample]]:
    """What was downloaded, and what each took, from what the example prints."""
    lines = printed.splitlines()
    what = next((found for found in map(SIZE.match, lines) if found), None)
    if what is None:
        return "", {}
    further = lines[lines.index(what[0]) + 1 :]
    told = " ".join([what[0], *[line for line in further[:1] if line.startswith("that ")]])
    rows = [found for found in map(ROW.match, further) if found]
    taken = {
        TOOL if row["name"] == TOOL else f"fenshen {row['name']}": sample_of(
            float(what["size"]), float(row["seconds"]), float(row["memory"])
        )
        for row in rows
    }
    return told, {name: sample for name, sample in taken.items() if name in TABLE.contenders}


def sample_of(size: float, seconds: float, memory: float) -> Sample:
    """An operation is a MB; the example does not say what CPU it costs."""
    return Sample(size / seconds, 0.0, {SECONDS: seconds, MEMORY: memory})


def measure(rounds: int) -> Run:
    """The example, so many times."""
    from .found import Run

    setting, told, failures = here(), "", []
    samples: dict[str, list[Sample | None]] = {name: [] for name, each in TABLE.contenders.items() if each.available()}
    for number in range(rounds):
        status, output, errors = run([sys.executable, "examples/downloader", "--rounds", "1"], LIMIT)
        words, taken = read(output)
        told = told or words
        print(f"benchmarks: downloads, round {number + 1} of {rounds}: {len(taken)} measured", file=sys.stderr)
        if status != 0:
            failures.append(f"round {number + 1}: {cause(errors) or f'exit status {status}'}")
        for name, past in samples.items():
            past.append(taken.get(name))
    failures += [f"{name}: no round has its figures" for name, past in samples.items() if not any(past)]
    plan = Plan(TABLE, list(WORKLOADS.values()), list(samples), rounds, 0.0)
    absent = tuple(name for name in TABLE.contenders if name not in samples)
    note = f"{told[:1].upper()}{told[1:]}." if told else ""
    return Run(plan, {"downloads": samples}, failures, setting, absent, note)
