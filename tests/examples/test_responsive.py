"""The responsive window: it is drawn while another process computes, and stands still while it does so itself."""

from __future__ import annotations

import sys

from commands import end, needs_native, start

pytestmark = needs_native


def test_count_primes(examples):
    from responsive import count_primes

    assert [count_primes(n) for n in (2, 3, 10, 100, 1000)] == [0, 1, 4, 25, 168]


def test_rows(examples):
    done = end(start([sys.executable, str(examples / "responsive.py"), "--size", "600000"], FENSHEN_QUIET="1"))
    assert done.status == 0, done.err
    heading, *rows, last = done.out.splitlines()
    assert heading.split()[:3] == ["computed", "in", "the"]
    assert last == "There are 49,098 primes below 600,000."
    found = {name: (float(took), int(frames), float(stood)) for name, took, frames, stood, *_ in map(str.split, rows)}
    assert list(found) == ["window", "thread", "process"]
    took, _, stood = found["window"]
    # Not one frame was drawn between the beginning and the end (seconds are printed to two digits).
    assert stood >= 1e3 * took - 10
    assert found["process"][1] >= 2
