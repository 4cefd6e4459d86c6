"""What a run counts, a row each: shared by every command that runs somebody else's tests on us."""

from __future__ import annotations

from collections.abc import Sequence

from .runner import Run

COLUMNS = ("ran", "passed", "failed", "listed", "machine", "skipped", "retried")
HEADER = f"{'':26}" + "".join(f"{name:>9}" for name in COLUMNS) + f"{'s':>8}"


def row(name: str, runs: Sequence[Run], listed: dict[str, str]) -> str:
    """One row: the sum of some runs, given what is listed as failing."""
    outcomes = [each for run in runs for each in run.outcomes.values()]
    failed = [each for each in outcomes if each.outcome == "failed"]
    counts = (
        len([each for each in outcomes if each.outcome != "skipped"]),
        len([each for each in outcomes if each.outcome == "passed"]),
        len([each for each in failed if not each.environment]),
        len([each for each in failed if each.id in listed]),
        len([each for each in failed if each.environment]),
        len([each for each in outcomes if each.outcome == "skipped"]),
        len([each for each in outcomes if each.retried]),
    )
    return f"{name:26}" + "".join(f"{count:9}" for count in counts) + f"{sum(run.seconds for run in runs):8.1f}"
