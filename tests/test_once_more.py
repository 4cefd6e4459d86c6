"""What failed runs once more, and only what fails again fails the run."""

from __future__ import annotations

import sys
from pathlib import Path

from commands import Outcome, run

HERE = Path(__file__).parent
TESTS = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("name", ["a b", "c - d"])
def test_the_second_time(name):
    seen = Path(__file__).with_name(name)
    before = seen.exists()
    seen.touch()
    assert before

def test_passes():
    pass
"""
NEVER = "\n\ndef test_never():\n    assert False\n"


def outcome(folder: Path, text: str, most: int) -> Outcome:
    folder.mkdir()
    (folder / "test_it.py").write_text(text)
    (folder / "conftest.py").write_text((HERE / "conftest.py").read_text())
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={folder}"]
    return run([*command, "test_it.py", "--once-more", str(most)], cwd=folder, PYTHONPATH=str(HERE))


def test_what_passes_alone_is_named(tmp_path: Path) -> None:
    status, out, _ = outcome(tmp_path / "steady", TESTS, 2)
    assert status == 0
    for name in ("a b", "c - d"):
        assert f"failed, then passed alone: test_it.py::test_the_second_time[{name}]" in out


def test_what_fails_again_fails_the_run(tmp_path: Path) -> None:
    status, out, _ = outcome(tmp_path / "never", TESTS + NEVER, 3)
    assert status == 1
    assert "passed alone" not in out


def test_many_failures_are_not_tried_again(tmp_path: Path) -> None:
    status, out, _ = outcome(tmp_path / "many", TESTS, 1)
    assert status == 1
    assert "2 failed, 1 passed" in out
