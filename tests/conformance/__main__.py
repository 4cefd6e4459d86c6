"""`python -m tests.conformance [selector ...] [--peer P] [--list-failures]`: counts, and what failed.

A selector is a module, a class or a test: `test_tasks`, `test_events.HandleTests`, `test_tasks.SleepTests.test_sleep`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import expected, runner, suites
from .counts import HEADER, row


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.split("\n")[0])
    parser.add_argument("selectors", nargs="*", metavar="selector", help="a module, class or test (default: all)")
    parser.add_argument("--peer", choices=suites.peers(), default="fenshen", help="whose types are put in")
    parser.add_argument("--kind", choices=suites.PEERS, help="only the modules of one kind")
    parser.add_argument("--required", action="store_true", help="only the modules that have to hold")
    parser.add_argument("--list-failures", action="store_true", help="name each failed test, with its error")
    parser.add_argument("--tracebacks", type=Path, metavar="FILE", help="write each failure's traceback to a file")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at a time (default: 2)")
    return parser.parse_args(argv)


def chosen(args: argparse.Namespace) -> dict[str, list[str]]:
    """Module to the parts of it that were asked for, an empty list for the whole."""
    names = suites.modules(args.peer)
    if not args.selectors:
        required = (*suites.REQUIRED, *suites.THREADS) if args.required else names
        return {name: [] for name in names if name in required and args.kind in (None, suites.kind(name))}
    parts: dict[str, list[str]] = {}
    for selector in args.selectors:
        module, _, part = selector.partition(".")
        if module not in names:
            raise SystemExit(f"no such module here: {module}")
        parts.setdefault(module, []).extend([selector] if part else [])
    return parts


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row a module and their sum; 1 if something is not as expected, 0 otherwise."""
    args = arguments(argv)
    parts = chosen(args)
    listed = expected.read() if args.peer == "fenshen" else {}
    print(f"{args.peer} on Python {sys.version.split()[0]}\n{HEADER}", flush=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        jobs = {
            module: pool.submit(runner.run_module, module, args.peer, only or None, tuple(listed))
            for module, only in parts.items()
        }
        runs = []
        for module, job in jobs.items():
            runs.append(job.result())
            print(row(module, runs[-1:], listed), flush=True)
    print(row("all", runs, listed))
    wrong = report(runs, listed, args.list_failures, parts)
    if args.tracebacks:
        args.tracebacks.write_text(
            "\n".join(f"=== {each.id}\n{each.text}" for run in runs for each in run.ended("failed"))
        )
    return 1 if wrong else 0


def report(
    runs: Sequence[runner.Run], listed: dict[str, str], failures: bool, parts: dict[str, list[str]]
) -> list[str]:
    """Print what was retried and what failed, then what is not as expected; return the latter."""
    for run in runs:
        print(*(f"{run.module} printed: {line}\n" for line in expected.unasked(run)), sep="", end="")
        for each in run.outcomes.values():
            if each.retried:
                print(f"retried: {each.id}")
            if failures and each.outcome == "failed":
                mark = "machine" if each.environment else "listed" if each.id in listed else "FAILED"
                print(f"{mark}: {each.id}: {each.last_line}")
    wrong = [
        line
        for run in runs
        for line in expected.differences(run, listed if not parts[run.module] else {})
        if not parts[run.module] or not any(line.startswith(f"{name} ") for name in listed)
    ]
    for line in wrong if not failures else ():
        print(line)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
