"""The hash that equal keys share in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest
from fenshen.flow._mapreduce.fingerprint import fingerprint

KEYS = """[
    "text", "", "\\udc80", b"text", 0, -1, 1.5, 2**80, True, None, (1, ("a", b"b")), frozenset({"a", "b", (1, "c")}),
    datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3), datetime.time(1), datetime.timedelta(1),
    datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.timezone.utc), uuid.UUID(int=5), pathlib.PurePosixPath("a/b"),
    decimal.Decimal("1.5"), fractions.Fraction(1, 3), signal.SIGINT, signal.Handlers.SIG_DFL, 1j, range(3),
]"""
PROGRAM = f"""
import datetime, decimal, fractions, pathlib, signal, uuid
from fenshen.flow._mapreduce.fingerprint import fingerprint
print([fingerprint(key) for key in {KEYS}])
"""


def test_it_is_the_same_whatever_the_seed() -> None:
    printed = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "random")
    }
    assert len(printed) == 1


@pytest.mark.parametrize("keys", [range(10_000), [str(n) for n in range(10_000)], [(n, "a") for n in range(10_000)]])
def test_keys_spread(keys: list[object]) -> None:
    parts = Counter(fingerprint(key) % 32 for key in keys)
    assert len(parts) == 32
    assert max(parts.values()) < 2 * min(parts.values())
