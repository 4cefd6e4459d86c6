"""A group whose children can never end: under `fenshen run` that is an error, which is in the group."""

from __future__ import annotations

from pathlib import Path

from commands import RUN, needs_native, run

pytestmark = needs_native

THREADS = """
import threading
import fenshen

try:
    with fenshen.TaskGroup() as group:
        child = group.to_thread(threading.Event().wait)
except BaseException as e:
    print([type(error).__name__ for error in e.exceptions], child.done())
"""
TASKS = """
import asyncio
import fenshen

async def main():
    async with fenshen.TaskGroup(name="stuck") as group:
        group.create_task(asyncio.Event().wait())

asyncio.run(main())
"""


def test_threads_that_wait_for_ever(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(THREADS)
    outcome = run([*RUN, str(script)])
    assert outcome.out == "['DeadlockError'] True\n", outcome.err


def test_tasks_that_wait_for_ever(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(TASKS)
    outcome = run([*RUN, str(script)])
    assert "fenshen.DeadlockError" in outcome.err
    assert "Task-1 (main) waits on <TaskGroup 'stuck' tasks=1 entered>" in outcome.err
