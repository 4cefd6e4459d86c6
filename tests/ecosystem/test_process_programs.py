"""Scripts with processes, as people write them with the standard library, on our types."""

from __future__ import annotations

from pathlib import Path

import pytest

from .needs import libraries
from .process_ways import PROGRAMS, Scripts

# What a script needs beside the standard library.
NEEDS = {"shared_numpy": "numpy", "matrix": "numpy"}
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
