"""`python -m benchmarks`: measures everybody in the same run, and writes a page and a picture for each table.

python -m benchmarks --only threads
python -m benchmarks --only queue,lock --rounds 3 --peers uvloop,fenshen
python -m benchmarks --only 'echo_*_1k_10'
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Iterator

from . import claims, picture, report
from .measure import RESULTS, ROOT, Plan, Sample, Samples, contenders, measure
from .tables import TABLES, Table
from .workloads import Workload, groups, matching, of_table


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def arguments() -> argparse.Namespace:
    everybody = ", ".join(dict.fromkeys(name for table in TABLES.values() for name in table.contenders))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure everybody in the same run.")
    parser.add_argument(
        "--only", type=names, default=[], help="tables, groups, workloads, patterns or claims, with commas between"
    )
    parser.add_argument("--peers", type=names, default=[], help=f"of {everybody} (default: all that are here)")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.2, help="the least length of a measurement (default: 0.2)")
    parser.add_argument("--into", type=pathlib.Path, default=RESULTS, help=f"where the results go (default: {RESULTS})")
    parser.add_argument("--json", action="store_true", help="print the samples, by table, instead of the text")
    parser.add_argument("--publish", action="store_true", help="write the page and the picture in docs/ too")
    parser.add_argument("--list", action="store_true", help="name the workloads and end")
    return parser.parse_args()


def chosen_workloads(only: list[str]) -> dict[str, list[Workload]]:
    """By table, those named, by a table, a group, a name or a pattern; all where none is named."""
    unknown = ", ".join(word for word in only if not matching(word))
    if unknown:
        known = "; ".join(f"{table}: {', '.join(groups(table))}" for table in TABLES)
        sys.exit(f"benchmarks: no such workload: {unknown}; the groups are {known}; and --list names the rest")
    wanted = {name for word in only for name in matching(word)}
    found = {
        table: [workload for workload in of_table(table).values() if not only or workload.name in wanted]
        for table in TABLES
    }
    return {table: workloads for table, workloads in found.items() if workloads}


def chosen_peers(table: Table, peers: list[str]) -> list[str]:
    """Those named that the table knows, or all; whatever is not installed is left out, and said."""
    known = [name for each in TABLES.values() for name in each.contenders]
    unknown = [name for name in peers if name not in known]
    if unknown:
        sys.exit(f"benchmarks: no such peer: {', '.join(unknown)}; there are {', '.join(dict.fromkeys(known))}")
    wanted = [name for name in table.contenders if not peers or name in peers]
    for name in wanted:
        if not table.contenders[name].available():
            print(f"benchmarks: {name} is not installed here, and is left out", file=sys.stderr)
    return [name for name in wanted if table.contenders[name].available()]


def of_contender(samples: Samples, name: str) -> Iterator[Sample | None]:
    """All that was measured of one of them."""
    return (sample for by_name in samples.values() for sample in by_name.get(name, []))


def run(plan: Plan, options: argparse.Namespace) -> tuple[dict[str, object], bool]:
    """Measures one table and writes what was found: the samples, and whether all of it could be measured."""
    samples, failures = measure(plan)
    table, into = plan.table, options.into
    found = report.as_json(plan, samples, failures)
    (into / f"{table.name}.json").write_text(json.dumps(found, indent=1))
    (into / f"{table.name}.md").write_text(report.markdown(plan, samples, failures, f"{table.name}.svg"))
    (into / f"{table.name}.svg").write_text(picture.draw(plan, samples))
    if not options.json:
        print(report.markdown(plan, samples, failures, f"{table.name}.svg"))
    if options.publish and any(sample is None for name in table.ours for sample in of_contender(samples, name)):
        print(f"benchmarks: {table.name} not published, since measurements of our own failed", file=sys.stderr)
    elif options.publish:
        docs = ROOT / "docs"
        (docs / f"{table.page}.md").write_text(report.markdown(plan, samples, failures, f"{table.page}.svg"))
        (docs / f"{table.page}.svg").write_text(picture.draw(plan, samples))
    return found, not failures


def main() -> int:
    options = arguments()
    only = [word for word in options.only if word != "claims"]
    of_claims = len(only) < len(options.only) or not options.only
    chosen = {} if of_claims and options.only and not only else chosen_workloads(only)
    if options.list:
        for workload in [each for workloads in chosen.values() for each in workloads]:
            print(f"{workload.name:28}{workload.title}")
        return 0
    options.into.mkdir(parents=True, exist_ok=True)
    found, well = {}, True
    for name, workloads in chosen.items():
        peers = chosen_peers(TABLES[name], options.peers)
        measured = [workload for workload in workloads if contenders(workload, peers)]
        if measured:
            plan = Plan(TABLES[name], measured, peers, options.rounds, options.seconds)
            found[name], all_well = run(plan, options)
            well = well and all_well
    if options.json:
        print(json.dumps(found, indent=1))
    elif of_claims:
        print(claims.run(options.into, min(options.rounds, 3), options.publish))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
