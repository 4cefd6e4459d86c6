"""The list of expected failures is strict both ways."""

from __future__ import annotations

import pytest

from . import expected
from .runner import Outcome, Run

LISTED = """
# a comment
test_x.A.test_one: reads _ready
test_x.A.test_two [3.12+]: reads _scheduled
test_y.B.test_three [3.10-3.11, 3.13]: mocks _selector
"""


def test_versions() -> None:
    assert set(expected.read(LISTED, (3, 11))) == {"test_x.A.test_one", "test_y.B.test_three"}
    assert set(expected.read(LISTED, (3, 12))) == {"test_x.A.test_one", "test_x.A.test_two"}
    assert len(expected.read(LISTED, (3, 13))) == 3


@pytest.mark.parametrize(
    "text",
    ["test_x.A.test_one", "test_x.A.test_one:", "test_x.A.test_one [>3.11]: why", "a.B.c: why\na.B.c [3.10+]: why"],
)
def test_a_line_without_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected.txt|not a range"):
        expected.read(text, (3, 11))


def run_with(**outcomes: str) -> Run:
    made = {
        f"test_x.A.{name}": Outcome(f"test_x.A.{name}", outcome, "Error: why") for name, outcome in outcomes.items()
    }
    return Run("test_x", "fenshen", made)


def test_strict_both_ways() -> None:
    listed = expected.read(LISTED, (3, 12))
    assert expected.differences(run_with(test_one="failed", test_two="failed", other="passed"), listed) == []
    [passes] = expected.differences(run_with(test_one="passed", test_two="failed"), listed)
    assert "test_one is listed as failing, and passes" in passes
    [unlisted] = expected.differences(run_with(test_one="failed", test_two="failed", other="failed"), listed)
    assert unlisted == "test_x.A.other failed and is not listed: Error: why"
    [missing] = expected.differences(run_with(test_one="failed"), listed)
    assert "test_two is listed, and there is no such test" in missing


def test_what_the_machine_fails_is_not_ours() -> None:
    run = run_with(test_one="failed", other="failed")
    run.outcomes["test_x.A.other"].environment = True
    assert expected.differences(run, expected.read(LISTED, (3, 11))) == []


def test_a_false_alarm_is_a_difference() -> None:
    run = run_with(test_one="failed")
    run.said = [
        "fenshen: this program picks its own event loop, x.Loop, and keeps it",
        "fenshen: this thread waits for itself:",
    ]
    listed = {"test_x.A.test_one": "why"}
    assert expected.differences(run, listed) == ["test_x printed: fenshen: this thread waits for itself:"]
