"""pytest-timeout ends a test that waits in one of our calls: by a signal's handler, or by its timer's thread."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from commands import PYTHON, run

from .ways import RUN

pytestmark = pytest.mark.needs("pytest_timeout")

SUITE = Path(__file__).parent / "suites" / "pytest_timeout"


@pytest.mark.parametrize("command", [PYTHON, RUN], ids=["python", "fenshen run"])
@pytest.mark.parametrize("call", ["event", "get", "lock", "result", "semaphore"])
@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_hang_is_ended(command: list[str], call: str, method: str, tmp_path: Path) -> None:
    shutil.copy(SUITE / "test_suite.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--timeout-method={method}", "test_suite.py"]
    found = run([*command, *words], cwd=tmp_path, HANGS_IN=call)
    assert found.status == 1
    assert "fenshen:" not in found.err
    assert "DeadlockError" not in found.out + found.err
    if method == "signal":
        assert re.search(r"FAILED .*::test_that_hangs - Failed: Timeout", found.out), found.out
        assert re.search(r"^1 failed, 2 passed in", found.out, re.MULTILINE), found.out
    else:  # it prints every stack and ends the process
        assert re.search(r"Timeout \+{5,}", found.out + found.err), found
        assert "in test_that_hangs" in found.out + found.err
