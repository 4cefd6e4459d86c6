"""Groups where there is no native engine: the standard library's types serve, and `checkpoint()` ends a thread."""

from __future__ import annotations

from pathlib import Path

from commands import PYTHON, run

PROGRAM = """
import asyncio, time
import fenshen

def double(x):
    return 2 * x

async def soon(x):
    await asyncio.sleep(0.001)
    return x

def spin():
    while True:
        fenshen.checkpoint()
        time.sleep(0.001)

async def main():
    async with fenshen.TaskGroup() as group:
        children = [group.create_task(soon(1)), group.to_thread(double, 2)]
    print([child.result() for child in children])
    try:
        async with fenshen.TaskGroup(timeout=0.05) as group:
            child = group.to_thread(spin)
    except TimeoutError:
        print(child.cancelled())

fenshen.run(main())
with fenshen.TaskGroup() as group:
    children = [group.create_task(soon(3)), group.to_thread(double, 4)]
    other = group.to_thread(spin)
    other.cancel()
print(fenshen.engine, [child.result() for child in children], other.cancelled())
"""


def test_without_engine(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(PROGRAM)
    outcome = run([*PYTHON, str(script)], FENSHEN_ENGINE="stdlib")
    assert outcome.out == "[1, 4]\nTrue\nstdlib [3, 8] True\n", outcome.err
    assert outcome.status == 0
