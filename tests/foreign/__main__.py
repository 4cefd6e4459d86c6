"""`python -m tests.foreign [uvloop|aiohttp|anyio ...] [--peer P ...]`: counts of each suite on each peer."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ..conformance import expected
from ..conformance.counts import HEADER, row
from .runner import run_suite
from .suites import SUITES

LIST = Path(__file__).with_name("expected.txt")
PEERS = ("fenshen", "fenshen-loop", "asyncio", "uvloop")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.foreign", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"{', '.join(SUITES)} (default: all)")
    parser.add_argument("--peer", action="append", choices=PEERS, help="may be repeated (default: fenshen and asyncio)")
    parser.add_argument("--only", metavar="EXPRESSION", help="tests whose names match, as pytest's -k has it")
    parser.add_argument("--list-failures", action="store_true", help="name each failed test, with its error")
    parser.add_argument("--log", type=Path, metavar="FILE", help="append what pytest printed, with every traceback")
    args = parser.parse_args(argv)
    for name in args.suites:
        if name not in SUITES:
            parser.error(f"no such suite: {name}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each suite and peer; 1 if ours did not do as expected, 0 otherwise."""
    args = arguments(argv)
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored in a shell's background, and the tests' children too
    wrong: list[str] = []
    print(f"Python {sys.version.split()[0]}\n{HEADER}", flush=True)
    for name in args.suites or SUITES:
        for peer in args.peer or ("fenshen", "asyncio"):
            listed = expected.read(LIST.read_text()) if peer == "fenshen" else {}
            run = run_suite(SUITES[name], peer, tuple(listed), ["-k", args.only] if args.only else [], args.log)
            print(row(f"{name} on {peer}", [run], listed), flush=True)
            for each in run.outcomes.values():
                if each.retried:
                    print(f"retried: {each.id}")
                if args.list_failures and each.outcome == "failed":
                    mark = "machine" if each.environment else "listed" if each.id in listed else "FAILED"
                    print(f"{mark}: {each.id}: {each.last_line}")
            if peer == "fenshen":
                found = expected.differences(run, listed)
                wrong += [line for line in found if not args.only or "no such test" not in line]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
