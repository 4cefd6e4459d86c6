"""The rows: each a function that is given a peer and says what became of it, in a few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .peers import Pool

Peer = type[Pool]
Run = Callable[[Peer], str]


class Row(NamedTuple):
    """A fault: its words, what we promise about it, and what does it. `limit` is in seconds, for the whole cell.

    A soak is no row of the printed table.
    """

    name: str
    words: str
    promise: str
    run: Run
    limit: float
    soak: bool


class Skipped(Exception):
    """The fault cannot be done on this machine."""


ROWS: dict[str, Row] = {}
# `multiprocessing.Pool` knows no `BrokenProcessPool`: what cannot be loaded is raised as it is.
OF_POOL = {
    "result_unloadable": "task fails (ImportError), pool lives",
    "exception_unloadable": "task fails (TypeError), pool lives",
}


def promised(row: str, peer: str) -> str:
    """What we promise of a row for one of our own peers."""
    return OF_POOL.get(row, ROWS[row].promise) if peer == "fenshen-Pool" else ROWS[row].promise


def row(words: str, promise: str, limit: float = 40, soak: bool = False) -> Callable[[Run], Run]:
    """Enter a function into the table; its name is the row's."""

    def enter(run: Run) -> Run:
        ROWS[run.__name__] = Row(run.__name__, words, promise, run, limit, soak)
        return run

    return enter
