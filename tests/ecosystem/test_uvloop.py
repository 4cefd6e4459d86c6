"""A program that itself calls `uvloop.run` keeps uvloop under `fenshen run`, and hears about it in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import PYTHON, run

from .ways import PROGRAMS, RUN

pytestmark = pytest.mark.needs("uvloop")


def test_uvloop_run(tmp_path: Path) -> None:
    words = [str(PROGRAMS / "uvloop_run.py")]
    env = {"EXPECTED_LOOP": "uvloop", "HANGS_AFTER": "50"}
    plain, ours = (run([*command, *words], cwd=tmp_path, **env) for command in (PYTHON, RUN))
    assert plain.status == 0, plain.err
    assert "200 b'CLIENT 0 STEP 0\\n' b'CLIENT 9 STEP 9\\n'\n499500 b'from a child\\n'\n" in plain.out
    assert (ours.status, ours.out) == (0, plain.out)
    assert ours.err == plain.err + (
        "fenshen: this program picks its own event loop, uvloop.Loop, and keeps it; fenshen's loop is not in use\n"
    )
