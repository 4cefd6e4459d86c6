"""The benchmark of word counts runs, and everybody counts the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.usefixtures("native")
def test_everybody_counts_the_same(tmp_path: Path) -> None:
    words = ["--mebibytes", "2", "--piece", "1", "--rounds", "1", "--only", "stdlib", "fenshen", "one"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.word_count", *words, "--into", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "words.md").read_text()
    assert "all counts are the same" in page
    rows = [row for row in page.splitlines() if row.startswith(("| stdlib", "| fenshen", "| one"))]
    assert [row.count("|") for row in rows] == [8] * 5
    assert "words counted by map_reduce" in (tmp_path / "summary.md").read_text()
    (kept,) = json.loads((tmp_path / "words.json").read_text())["runs"]
    assert kept["failures"] == []
    assert all(sample["rate"] > 0 for (sample,) in kept["samples"]["words"].values())
