"""`python -m benchmarks`: measures everybody in the same run, and writes a page for each family, and one of all.

python -m benchmarks --only threads
python -m benchmarks --only words,downloads,claims
python -m benchmarks --only queue,lock --rounds 3 --peers uvloop,fenshen
python -m benchmarks --only 'echo_*_1k_10'
"""

import argparse
import json
import pathlib
import signal
import sys
from collections.abc import Iterator
from itertools import chain

from . import claims, downloads, word_count, writing
from .found import Run
from .measure import RESULTS, Interrupted, Plan, contenders, measure
from .setting import here
from .tables import TABLES, Table
from .workloads import Workload, groups, matching, of_table

PROGRAMS = ("words", "downloads", "claims")  # with a program of their own each


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def arguments() -> argparse.Namespace:
    everybody = ", ".join(dict.fromkeys(name for table in TABLES.values() for name in table.contenders))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure everybody in the same run.")
    which = f"tables, groups, workloads, patterns, {', '.join(PROGRAMS)}; with commas between"
    parser.add_argument("--only", type=names, default=[], help=which)
    parser.add_argument("--peers", type=names, default=[], help=f"of {everybody} (default: all that are here)")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.2, help="the least length of a measurement (default: 0.2)")
    parser.add_argument("--into", type=pathlib.Path, default=RESULTS, help=f"where the results go (default: {RESULTS})")
    parser.add_argument("--json", action="store_true", help="print the samples, by table, instead of the text")
    parser.add_argument("--publish", action="store_true", help="keep it in benchmarks/published/, write docs/ of that")
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


def absent_peers(table: Table, peers: list[str]) -> tuple[str, ...]:
    """Those wanted that are not installed here."""
    wanted = [name for name in table.contenders if not peers or name in peers]
    return tuple(name for name in wanted if not table.contenders[name].available())


def tables(options: argparse.Namespace, chosen: dict[str, list[Workload]]) -> Iterator[Run]:
    """Measures one table after the other."""
    for name, workloads in chosen.items():
        peers = chosen_peers(TABLES[name], options.peers)
        measured = [workload for workload in workloads if contenders(workload, peers)]
        if measured:
            plan = Plan(TABLES[name], measured, peers, options.rounds, options.seconds)
            setting, absent = here(), absent_peers(TABLES[name], options.peers)
            try:
                yield Run(plan, *measure(plan), setting, absent)
            except Interrupted as stopped:
                if stopped.rounds:
                    plan = plan._replace(rounds=stopped.rounds)
                    yield Run(plan, stopped.samples, stopped.failures, setting, absent)
                raise


def programs(options: argparse.Namespace, chosen: list[str]) -> Iterator[Run]:
    """Measures what has a program of its own; `--peers` does not choose there."""
    if "words" in chosen:
        yield word_count.measure(list(word_count.FUNCTIONS), min(options.rounds, word_count.ROUNDS))
    if "downloads" in chosen:
        yield downloads.measure(options.rounds)


def everything(options: argparse.Namespace, chosen: dict[str, list[Workload]], of_programs: list[str]) -> bool:
    """Measures and writes one after the other; gives whether all of it could be measured."""
    printed, well = {}, True
    for run in chain(tables(options, chosen), programs(options, of_programs)):
        if not any(any(taken) for by_name in run.samples.values() for taken in by_name.values()):
            well = False
            print(f"benchmarks: {run.plan.table.name}: {run.failures or 'nothing was measured'}", file=sys.stderr)
            continue
        text = writing.write(run, options.into, options.publish)
        printed[run.plan.table.name] = run.as_json()
        well = well and not run.failures
        if not options.json:
            print(text)
    if "claims" in of_programs:
        text, all_well = claims.run(options.into, min(options.rounds, 3), options.publish)
        well = well and all_well
        if not options.json:
            print(text)
    if options.json:
        print(json.dumps(printed, indent=1))
    return well


def main() -> int:
    options = arguments()
    only = [word for word in options.only if word not in PROGRAMS]
    of_programs = [word for word in PROGRAMS if word in options.only or not options.only]
    chosen = chosen_workloads(only) if only or not options.only else {}
    if options.list:
        for workload in [each for workloads in chosen.values() for each in workloads]:
            print(f"{workload.name:28}{workload.title}")
        return 0
    options.into.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        well = everything(options, chosen, of_programs)
    except KeyboardInterrupt:
        print("benchmarks: interrupted; what the rounds have found that were complete is kept", file=sys.stderr)
        return 130
    finally:
        said = writing.write_pages(options.into, options.publish)
        if not options.json:
            print("\n".join(said))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
