"""Notebooks: a kernel's thread runs an event loop already, and the cells' functions are in no file."""

from __future__ import annotations

import json
from pathlib import Path

import documents
import pytest
from commands import PYTHON, end, needs_native, start

pytestmark = needs_native
pytest.importorskip("ipykernel")
pytest.importorskip("nbclient")

NOTEBOOK = Path(__file__).parent / "notebook.py"


def execute(cells, kernel="python"):
    """What each cell of a notebook shows."""
    process = start([*PYTHON, str(NOTEBOOK), kernel, "60"])
    done = end(process, json.dumps(cells))
    assert done.status == 0, done.err
    return json.loads(done.out)


CELLS = {
    "import asyncio, os, threading, time, fenshen": "",
    "def square(n):\n    return n * n": "",
    "await fenshen.to_process(square, 3)": "9",
    "def cube(n):\n    return n * square(n)": "",
    "await fenshen.to_process(cube, 3)": "27",
    "await asyncio.gather(*(fenshen.to_process(cube, n) for n in range(4)))": "[0, 1, 8, 27]",
    "from fenshen.futures import ProcessPoolExecutor, ThreadPoolExecutor\n"
    "with ProcessPoolExecutor(2) as pool:\n    cubes = list(pool.map(cube, range(4)))\ncubes": "[0, 1, 8, 27]",
    "with ThreadPoolExecutor(2) as pool:\n    cubes = list(pool.map(cube, range(4)))\ncubes": "[0, 1, 8, 27]",
    "fenshen.run(asyncio.sleep(0))": "RuntimeError: asyncio.run() cannot be called from a running event loop",
    "later = asyncio.create_task(asyncio.sleep(0.01, 'done'))": "",
    "await later": "'done'",
    "1 / 0": "ZeroDivisionError: division by zero",
}


TYPE = "type(asyncio.get_running_loop()) is fenshen.EventLoop"

INSTALLED = {
    "async def main():\n    return 7\ntask = asyncio.create_task(main())\nprint(type(task).__module__)\nawait task": (
        "fenshen._fenshen\n7"
    ),
    "lock = asyncio.Lock()\nasync with lock:\n    print(type(lock).__module__)": "fenshen._fenshen\n",
    "fenshen.uninstall()\ntask = asyncio.create_task(main())\nprint(type(task).__module__)\nawait task": "_asyncio\n7",
}


def page():
    """The cells that docs/notebooks.md shows, and what they show."""
    blocks = documents.blocks(documents.ROOT / "docs" / "notebooks.md")
    cells = {b.text: b.detail.removeprefix("a cell").removeprefix(", shows ") for b in blocks if "a cell" in b.detail}
    assert len(cells) >= 3
    return cells


def test_kernel():
    """A kernel as it comes; then install() in it, which warns of what the kernel has imported by then."""
    cells = CELLS | page() | {TYPE: "False"}
    shown = execute([*cells, "fenshen.install()", *INSTALLED])
    assert shown[: len(cells)] == list(cells.values())
    assert "install first, or use `fenshen run`" in shown[len(cells)]
    assert shown[len(cells) + 1 :] == list(INSTALLED.values())


def test_kernel_under_fenshen_run():
    cells = CELLS | {TYPE: "True"}
    assert execute([*cells], "fenshen") == list(cells.values())
