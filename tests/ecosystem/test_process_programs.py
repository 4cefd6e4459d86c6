"""Scripts with processes, as people write them with the standard library, on our types."""

from __future__ import annotations

from pathlib import Path

import pytest

from .needs import libraries
from .process_ways import LIBRARIES, PROGRAMS, Scripts

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


@pytest.fixture
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Scripts:
    return Scripts(tmp_path_factory.mktemp("s"))


@pytest.mark.parametrize("program", sorted(PROGRAMS.glob("*.py")), ids=lambda path: path.stem)
def test_standard_library(scripts: Scripts, program: Path) -> None:
    libraries(*NEEDS.get(program.stem, "").split())
    out = scripts(program, ordered=program.stem not in IN_NO_ORDER)
    assert out.strip()


@pytest.mark.parametrize("program", sorted(LIBRARIES.glob("*.py")), ids=lambda path: path.stem)
def test_libraries(scripts: Scripts, program: Path) -> None:
    libraries(*OF_LIBRARIES[program.stem].split())
    assert scripts(program, seconds=120).strip()
