"""pytest-asyncio with our loop: by its hook, and by `fenshen run -m pytest`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from commands import PYTHON, run

from .ways import RUN

pytestmark = pytest.mark.needs("pytest_asyncio")

SUITE = Path(__file__).parent / "suites" / "pytest_asyncio"
HOOK = """
import fenshen

def pytest_asyncio_loop_factories(config, item):
    return {"fenshen": fenshen.new_event_loop}
"""


@pytest.mark.parametrize(
    ("command", "hook", "loop"),
    [(PYTHON, "", "asyncio"), (PYTHON, HOOK, "fenshen"), (RUN, "", "fenshen")],
    ids=["asyncio", "hook", "fenshen run"],
)
def test_suite(command: list[str], hook: str, loop: str, tmp_path: Path) -> None:
    shutil.copy(SUITE / "test_suite.py", tmp_path)
    (tmp_path / "conftest.py").write_text(hook)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "test_suite.py"]
    found = run([*command, *words], cwd=tmp_path, EXPECTED_LOOP=loop)
    assert found.err == ""
    assert re.search(r"FAILED .*::test_that_fails(\[fenshen\])? - ValueError: as it should", found.out), found.out
    assert re.search(r"^1 failed, 9 passed in", found.out, re.MULTILINE), found.out
