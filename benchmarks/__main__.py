"""`python -m benchmarks`: measures every loop in the same run, and writes a table and a picture.

python -m benchmarks --only queue,lock --rounds 3 --loops uvloop,fenshen
python -m benchmarks --only 'echo_*_1k_10'
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Iterator

from . import picture, report
from .loops import LOOPS
from .measure import RESULTS, ROOT, Plan, Sample, Samples, measure
from .workloads import GROUPS, Workload, every, matching


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure every loop in the same run.")
    parser.add_argument("--only", type=names, default=[], help="groups, workloads or patterns, with commas between")
    parser.add_argument("--loops", type=names, default=[], help=f"of {', '.join(LOOPS)} (default: all that are here)")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.2, help="the least length of a measurement (default: 0.2)")
    parser.add_argument("--into", type=pathlib.Path, default=RESULTS, help=f"where the results go (default: {RESULTS})")
    parser.add_argument("--json", action="store_true", help="print the samples instead of the text")
    parser.add_argument("--publish", action="store_true", help="write docs/benchmarks.md and docs/benchmarks.svg too")
    parser.add_argument("--list", action="store_true", help="name the workloads and end")
    return parser.parse_args()


def chosen_workloads(only: list[str]) -> list[Workload]:
    """Those named, by a group, by a name or by a pattern; all where none is named."""
    unknown = ", ".join(word for word in only if not matching(word))
    if unknown:
        groups = ", ".join(GROUPS)
        sys.exit(f"benchmarks: no such workload: {unknown}; the groups are {groups}, and --list names the rest")
    wanted = {name for word in only for name in matching(word)}
    return [workload for workload in every().values() if not only or workload.name in wanted]


def chosen_loops(loops: list[str]) -> list[str]:
    """Those named, or all; whatever is not installed is left out, and said."""
    unknown = [name for name in loops if name not in LOOPS]
    if unknown:
        sys.exit(f"benchmarks: no such loop: {', '.join(unknown)}; there are {', '.join(LOOPS)}")
    wanted = loops or list(LOOPS)
    for name in wanted:
        if not LOOPS[name].available():
            print(f"benchmarks: {name} is not installed here, and is left out", file=sys.stderr)
    return [name for name in wanted if LOOPS[name].available()]


def of_loop(samples: Samples, loop: str) -> Iterator[Sample | None]:
    """All that was measured of one loop."""
    return (sample for by_loop in samples.values() for sample in by_loop.get(loop, []))


def main() -> int:
    options = arguments()
    workloads = chosen_workloads(options.only)
    if options.list:
        print("\n".join(f"{workload.name:24}{workload.title}" for workload in workloads))
        return 0
    plan = Plan(workloads, chosen_loops(options.loops), options.rounds, options.seconds)
    samples, failures = measure(plan)
    into: pathlib.Path = options.into
    into.mkdir(parents=True, exist_ok=True)
    dumped = json.dumps(report.as_json(plan, samples, failures), indent=1)
    (into / "latest.json").write_text(dumped)
    (into / "latest.md").write_text(report.markdown(plan, samples, failures, "latest.svg"))
    (into / "latest.svg").write_text(picture.draw(plan, samples))
    print(dumped if options.json else report.markdown(plan, samples, failures, "latest.svg"))
    if options.publish and any(sample is None for loop in report.OURS for sample in of_loop(samples, loop)):
        print("benchmarks: not published, since measurements of our own loop failed", file=sys.stderr)
    elif options.publish:
        (ROOT / "docs" / "benchmarks.md").write_text(report.markdown(plan, samples, failures, "benchmarks.svg"))
        (ROOT / "docs" / "benchmarks.svg").write_text(picture.draw(plan, samples))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
