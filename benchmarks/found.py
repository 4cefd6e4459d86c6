"""What runs have found of one family, kept as JSON: enough to write every page again without measuring.

A run may measure a part of a family; it takes the place of what earlier runs have found of the same workloads, and the
page says of each part when and on what it was measured.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from . import setting
from .families import FAMILIES, workloads_of
from .measure import Plan, Sample, Samples
from .setting import Setting
from .workloads import Workload

ROOT = pathlib.Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "benchmarks" / "published"
DIGITS = 6  # of each number that is kept


class Run(NamedTuple):
    """One run: its plan, what it has found, who was not installed, and a remark on what was measured."""

    plan: Plan
    samples: Samples
    failures: list[str]
    setting: Setting
    absent: tuple[str, ...] = ()
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Every sample, for other programs."""
        contenders = self.plan.table.contenders
        return {
            **self.setting._asdict(),
            "versions": {name: contenders[name].version() for name in self.plan.contenders},
            "absent": list(self.absent),
            "rounds": self.plan.rounds,
            "seconds": self.plan.seconds,
            "note": self.note,
            "failures": self.failures,
            "samples": {
                workload: {name: [sample and sample._asdict() for sample in taken] for name, taken in by_name.items()}
                for workload, by_name in self.samples.items()
            },
        }


class Part(NamedTuple):
    """A run as it is kept: the versions are those of its day, and workloads may have gone since."""

    setting: Setting
    versions: Mapping[str, str]
    absent: tuple[str, ...]
    rounds: int
    seconds: float
    note: str
    failures: list[str]
    samples: Samples


class Found(NamedTuple):
    """A family: its last runs, the one that found most first; `plan`, `samples` and `failures` are those of all."""

    plan: Plan
    samples: Samples
    failures: list[str]
    parts: tuple[Part, ...]

    @property
    def absent(self) -> tuple[str, ...]:
        """Who was installed in no run."""
        everywhere = set.intersection(*(set(part.absent) for part in self.parts)) if self.parts else set()
        return tuple(name for name in self.plan.table.contenders if name in everywhere)

    def workloads(self, part: Part) -> list[Workload]:
        """What is shown of one run."""
        return [workload for workload in self.plan.workloads if workload.name in part.samples]


def part_of(run: Mapping[str, Any]) -> Part:
    """A run of `as_json`."""
    samples = {
        workload: {name: [sample and Sample(**sample) for sample in taken] for name, taken in by_name.items()}
        for workload, by_name in run["samples"].items()
    }
    told = (run["rounds"], run["seconds"], run.get("note", ""), list(run["failures"]))
    return Part(setting.of_json(dict(run)), run["versions"], tuple(run.get("absent", ())), *told, samples)


def of_runs(family: str, runs: Sequence[Mapping[str, Any]]) -> Found:
    """All that some runs have found, of workloads and contenders that there still are."""
    table, known = FAMILIES[family], workloads_of(family)
    parts = sorted(map(part_of, runs), key=lambda part: len(part.samples), reverse=True)
    samples = {
        name: {who: taken for who, taken in by_name.items() if who in table.contenders or who == "floor"}
        for part in parts
        for name, by_name in part.samples.items()
    }
    workloads = [workload for name, workload in known.items() if name in samples]
    contenders = [name for name in table.contenders if any(name in part.versions for part in parts)]
    most = parts[0] if parts else None
    plan = Plan(table, workloads, contenders, most.rounds if most else 0, most.seconds if most else 0.0)
    return Found(plan, samples, [each for part in parts for each in part.failures], tuple(parts))


def of_run(run: Run) -> Found:
    """One run by itself."""
    return of_runs(run.plan.table.name, [run.as_json()])


def joined(earlier: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The run, and of earlier ones what it did not measure; the failures of a run go with the last of its samples."""
    kept = []
    for each in earlier:
        left = {name: by_name for name, by_name in each["samples"].items() if name not in run["samples"]}
        if left:
            kept.append({**each, "samples": left})
    return [*kept, dict(run)]


def rounded(value: Any) -> Any:
    """The same with fewer digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def text_of(family: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """The file, a line for each contender of each workload, so that two of them can be compared."""

    def lines(run: Mapping[str, Any]) -> Iterator[str]:
        for name, value in run.items():
            if name != "samples":
                yield f"  {json.dumps(name)}: {json.dumps(rounded(value))}"
        workloads = []
        for workload, by_name in run["samples"].items():
            row = [f"    {json.dumps(name)}: {json.dumps(rounded(taken))}" for name, taken in by_name.items()]
            workloads.append(f"   {json.dumps(workload)}: {{\n" + ",\n".join(row) + "\n   }")
        yield '  "samples": {\n' + ",\n".join(workloads) + "\n  }"

    written = ["{\n" + ",\n".join(lines(run)) + "\n }" for run in runs]
    return f'{{\n "family": {json.dumps(family)},\n "runs": [{", ".join(written)}]\n}}\n'


def runs_in(folder: pathlib.Path, family: str) -> list[dict[str, Any]]:
    """What is kept there of a family; nothing where there is no such file, or one of before they were kept by run."""
    path = folder / f"{family}.json"
    return list(json.loads(path.read_text()).get("runs", [])) if path.exists() else []


def add(folder: pathlib.Path, run: Run) -> Found:
    """Keeps a run beside what earlier ones have found of other workloads; gives all of it, as it is kept."""
    family = run.plan.table.name
    folder.mkdir(parents=True, exist_ok=True)
    text = text_of(family, joined(runs_in(folder, family), run.as_json()))
    path = folder / f"{family}.json"
    beside = path.with_suffix(".part")
    beside.write_text(text)
    beside.replace(path)
    return of_runs(family, json.loads(text)["runs"])


def kept(folder: pathlib.Path, family: str) -> Found | None:
    """What is kept there of a family; `None` where that is nothing."""
    runs = runs_in(folder, family)
    return of_runs(family, runs) if runs else None
