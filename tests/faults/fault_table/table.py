"""The rows: each a function that is given a peer and says what became of it, in a few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .peers import Pool

Peer = type[Pool]


class Row(NamedTuple):
    """A fault: its words, what we promise about it, and what does it. `limit` is in seconds, for the whole cell."""

    name: str
    words: str
    promise: str
    run: Callable[[Peer], str]
    limit: float


class Skipped(Exception):
    """The fault cannot be done on this machine."""


ROWS: dict[str, Row] = {}


def row(words: str, promise: str, limit: float = 40) -> Callable[[Callable[[Peer], str]], Callable[[Peer], str]]:
    """Enter a function into the table; its name is the row's."""

    def enter(run: Callable[[Peer], str]) -> Callable[[Peer], str]:
        ROWS[run.__name__] = Row(run.__name__, words, promise, run, limit)
        return run

    return enter
