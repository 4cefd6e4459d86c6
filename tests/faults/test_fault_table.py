"""Every row of the fault table, done to our pool: the outcome is the one that is promised.

Under `fork`, which is this interpreter's way to 3.13, every row; under the other start methods those whose machinery
differs there. The other peers' columns are `make faults`.
"""

import pytest
from fault_table import rows
from fault_table.running import play
from fault_table.table import ROWS, promised

ELSEWHERE = [
    "killed_in_task",
    "killed_starting",
    "killed_between_tasks",
    "killed_with_lock",
    "template_killed",
    "argument_unloadable",
    "exception_unloadable",
    "endless_in_c_timeout",
    "thread_that_ends",
    "parent_killed_in_c",
    "interrupted",
    "stdin_closed",
]
NOT_THERE = {("fenshen-spawn", "template_killed"), ("fenshen-Pool", "killed_starting_always")}
OF_POOL = ["killed_in_task", "killed_between_tasks", "result_unloadable", "exception_unloadable", "killed_with_lock"]
CELLS = [(row, "fenshen") for row in ROWS]
CELLS += [(row, peer) for peer in ("fenshen-forkserver", "fenshen-spawn") for row in ELSEWHERE]
CELLS += [(row, "fenshen-Pool") for row in OF_POOL]

assert rows


@pytest.mark.parametrize(("row", "peer"), [each for each in CELLS if each[::-1] not in NOT_THERE])
def test_the_promise_is_kept(row: str, peer: str) -> None:
    cell = play(row, peer)
    if cell.skipped:
        pytest.skip(cell.outcome)
    assert cell.outcome == promised(row, peer), cell.printed[-6000:]
