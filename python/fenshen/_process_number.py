"""Which of several processes this is."""

from __future__ import annotations

__all__ = ["process_number"]

_number = [0]


def process_number() -> int:
    """Which of the processes of `run(main, processes=N)` this is, from 0 to N - 1; 0 in any other process."""
    return _number[0]


def set_number(number: int) -> None:
    """Say which this is."""
    _number[0] = number
