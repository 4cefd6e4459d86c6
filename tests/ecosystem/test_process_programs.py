"""Scripts with processes, as people write them with the standard library, on our types."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run

from .needs import libraries
from .process_ways import LIBRARIES, PROGRAMS, WAYS, Scripts

# What a script needs beside the standard library.
NEEDS = {"shared_numpy": "numpy", "matrix": "numpy"}
OF_LIBRARIES = {
    "aiomultiprocess_pool": "aiomultiprocess",
    "anyio_processes": "anyio",
    "apscheduler_processes": "apscheduler",
    "cloudpickle_tasks": "cloudpickle",
    "dask_cluster": "dask distributed",
    "joblib_processes": "joblib numpy",
    "loky_executor": "loky",
    "mpire_pool": "mpire",
    "pebble_processes": "pebble",
    "ray_tasks": "ray numpy",
    "sklearn_jobs": "sklearn numpy",
    "tqdm_processes": "tqdm",
}
# Several processes print, each when it comes to it.
IN_NO_ORDER = {"at_exit", "daemons", "standard_input"}
# Clusters, which listen on ports of their own choice and tell if another is there already.
ALONE = {"dask_cluster", "ray_tasks"}

METHODS = ("fork", "spawn", "forkserver")
# Counts the names of the table that are not ours, in the program and in all kinds of children.
WHOSE = """
import importlib, multiprocessing
from concurrent.futures import ProcessPoolExecutor

from fenshen import parts


def theirs(_=None):
    "How many of the table's names for processes are not ours, and of how many."
    rows = [part for part in parts.all_parts() if part.group == "processes" and not part.wrap]
    for part in rows:
        importlib.import_module(part.module)
    found = [(part, *place) for part in rows if (place := part.owner())]
    return sum(vars(owner)[name] is not part.ours(None) for part, owner, name in found), len(found)


def tell(send):
    send.send(theirs())


if __name__ == "__main__":
    print("main", *theirs())
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        receive, send = context.Pipe(False)
        process = context.Process(target=tell, args=(send,))
        process.start()
        print(method, *receive.recv())
        process.join()
        with context.Pool(1) as pool, ProcessPoolExecutor(1, mp_context=context) as executor:
            print("pool", *pool.apply(theirs))
            print("executor", *executor.submit(theirs).result())
"""


@pytest.mark.parametrize("program", sorted(PROGRAMS.glob("*.py")), ids=lambda path: path.stem)
def test_standard_library(scripts: Scripts, program: Path) -> None:
    libraries(*NEEDS.get(program.stem, "").split())
    out = scripts(program, ordered=program.stem not in IN_NO_ORDER)
    assert out.strip()


@pytest.mark.parametrize("program", sorted(LIBRARIES.glob("*.py")), ids=lambda path: path.stem)
def test_libraries(scripts: Scripts, program: Path) -> None:
    libraries(*OF_LIBRARIES[program.stem].split())
    assert scripts(program, alone=program.stem in ALONE, seconds=120).strip()


@pytest.mark.parametrize("way", WAYS)
def test_whose_types_are_found(way: str, tmp_path: Path) -> None:
    program = tmp_path / "whose.py"
    program.write_text(WHOSE)
    found = run([*WAYS[way], str(program)], cwd=tmp_path)
    assert (found.status, found.err) == (0, "")
    lines = [line.split() for line in found.out.splitlines()]
    assert [where for where, *_ in lines] == ["main", *(w for m in METHODS for w in (m, "pool", "executor"))]
    counts = {(int(theirs), int(of)) for _, theirs, of in lines}
    (of,) = {of for _, of in counts}
    assert of > 10
    assert counts == ({(of, of)} if way == "python" else {(0, of)})
