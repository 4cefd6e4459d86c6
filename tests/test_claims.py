"""The benchmark of what people say: each kind of measurement runs, and the page has what was found."""

from __future__ import annotations

import json

import pytest
from commands import needs_native

from benchmarks import claims
from benchmarks.setting import Setting


@needs_native
@pytest.mark.parametrize(
    "words",
    [("model", "waits", "tasks"), ("model", "waits", "threads"), ("loop", "fenshen", "0")],
    ids=" ".join,
)
def test_a_measurement(words):
    took = claims.take(True, *words)
    assert isinstance(took, float)
    assert took > 0


def test_what_does_not_fit_is_left_out():
    assert claims.take(False, "model", "computes", "tasks") is None


def test_what_fails_says_how():
    assert claims.take(False, "model", "no such work", "tasks") == "KeyError: 'no such work'"


def test_the_page():
    """Medians, and how many times as fast as the first of the row."""
    found = {
        "model waits one by one stdlib": [2.0, 2.2, 9.0],
        "model waits threads stdlib": [0.5, 0.55, 0.1],
        "loop asyncio 0 stdlib": [2.0, 2.0, 2.0],
        "loop fenshen 0 fenshen": [0.5, 0.5, 0.5],
    }
    setting = Setting("a machine", "3.13.0", "2026-11-21", "abc1234", 2, 1.5)
    failures = ["model waits tasks fenshen, round 1: it did not end"]
    kept = {**setting._asdict(), "rounds": 3, "versions": {"fenshen": "1"}, "failures": failures, "found": found}
    lines = claims.markdown(json.loads(json.dumps(kept)), "summary.md").splitlines()
    assert lines[2] == f"**{setting.warning()}**"
    assert "1.5 of 2 CPUs were busy" in lines[2]
    assert lines[-1] == f"- {failures[0]}"
    waits = [line for line in lines if "waits 10 ms (" in line and "stdlib" in line]
    (nothing,) = (line for line in lines if "nothing to compute" in line)
    assert len(waits) == 1
    assert [cell.strip() for cell in waits[0].split("|")[3:6]] == ["2.20 s, 1.0x", "0.50 s, 4.4x", ""]
    messages = claims.CLIENTS * claims.MESSAGES
    assert f"{messages / 2:,.0f}, 1.0x" in nothing
    assert f"{messages * 2:,.0f}, 4.0x" in nothing
