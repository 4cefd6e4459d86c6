"""The bank: in order it ends; as they come, the ring is named and no money is lost."""

from __future__ import annotations

import sys

from commands import RUN, end, needs_native, start


@needs_native
def test_in_order(examples):
    for command in ([sys.executable], RUN):
        done = end(start([*command, str(examples / "bank.py"), "--in-order", "--customers", "4"]))
        assert done == (0, "3000 at the beginning, 3000 at the end\n", "")


@needs_native
def test_as_they_come(examples):
    """Nobody hangs, and each ring is told by those in it and where they stand."""
    # Enough customers and pauses that some two of them meet, whatever else the machine does.
    words = ["--customers", "8", "--transfers", "300", "--pause", "0.005"]
    done = end(start([*RUN, str(examples / "bank.py"), *words]))
    assert done.out == "3000 at the beginning, 3000 at the end\n"
    assert "fenshen.DeadlockError: these threads wait for each other:" in done.err
    assert "held by customer " in done.err
    assert "bank.py:" in done.err
    assert "  in a ring: customer " in done.err
