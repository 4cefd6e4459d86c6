"""`python -m fault_table [--peer P ...] [--row R ...] [--json FILE] [--markdown FILE]`: the table, done for real."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from . import rows  # noqa: F401 - enters them
from .peers import PEERS
from .running import Cell, play
from .table import ROWS, promised

MACHINE = f"Python {platform.python_version()}, Linux {platform.release()}"
USUAL = ("fenshen", "executor", "Pool", "loky", "pebble", "joblib")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fault_table", description=__doc__)
    parser.add_argument("--peer", action="append", choices=PEERS, help=f"may be repeated (default: {', '.join(USUAL)})")
    parser.add_argument("--row", action="append", choices=ROWS, metavar="ROW", help="may be repeated (default: all)")
    parser.add_argument("--list", action="store_true", help="name the rows and what we promise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every outcome there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, between its marks")
    parser.add_argument("--printed", action="store_true", help="show what each cell printed")
    return parser.parse_args(argv)


def kept(cell: Cell) -> str:
    """The mark of our own cells: whether the promise was kept."""
    if not cell.peer.startswith("fenshen") or cell.skipped or cell.outcome.startswith("has not: "):
        return " "
    return "=" if cell.outcome == promised(cell.row, cell.peer) else "!"


def markdown(cells: list[Cell], names: Sequence[str]) -> str:
    """The table as a page shows it."""
    found = {(each.row, each.peer): each.outcome for each in cells}
    lines = ["| fault | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in dict.fromkeys(each.row for each in cells):
        lines.append("| " + " | ".join([ROWS[row].words, *(found[row, name] for name in names)]) + " |")
    return "\n".join(lines)


def publish(page: Path, table: str) -> None:
    """Put the table between the marks of a page."""
    before, mark, rest = page.read_text().partition("<!-- table -->\n")
    after = rest.partition("<!-- end -->")[2]
    if not mark:
        raise SystemExit(f"{page} has no <!-- table --> and <!-- end -->")
    page.write_text(f"{before}{mark}\n{MACHINE}\n\n{table}\n\n<!-- end -->{after}")


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each cell as it ends; 1 if a promise of ours was broken."""
    args = arguments(argv)
    if args.list:
        for each in ROWS.values():
            print(f"{each.name:32} {each.words}: {each.promise}")
        return 0
    names, cells = args.peer or USUAL, []
    print(MACHINE, flush=True)
    for row in args.row or [each.name for each in ROWS.values() if not each.soak]:
        print(f"\n{ROWS[row].words}", flush=True)
        for name in names:
            cell = play(row, name)
            cells.append(cell)
            print(f"  {kept(cell)} {name:20} {cell.outcome}", flush=True)
            if args.printed:
                print(cell.printed)
    if args.json:
        args.json.write_text(json.dumps([each._asdict() for each in cells], indent=1))
    if args.markdown:
        publish(args.markdown, markdown(cells, names))
    return int(any(kept(each) == "!" for each in cells))


if __name__ == "__main__":
    sys.exit(main())
