"""Counting words by map_reduce gives what a `Counter` gives, on each engine that is here."""

from __future__ import annotations

import collections
import importlib.util
import sys

import pytest
from commands import end, needs_native, start

pytestmark = needs_native


@pytest.mark.parametrize("engine", ["local", "ray", "dask"])
def test_engines(engine, examples, folder):
    if engine != "local" and importlib.util.find_spec({"ray": "ray", "dask": "distributed"}[engine]) is None:
        pytest.skip(f"{engine} is not installed")
    words = [str(folder), "--pattern", "*[0-9].txt", "--engine", engine, "--workers", "2"]
    done = end(start([sys.executable, str(examples / "count_words.py"), *words]))
    assert done.status == 0, done.err
    expected = collections.Counter(
        word for path in folder.glob("*[0-9].txt") for word in path.read_text().split() if word.isalpha()
    )
    assert expected == {"file": 500}
    heading, *rows = done.out.splitlines()
    assert heading.startswith("500 words, 1 different ones, in ")
    assert [row.split() for row in rows] == [["500", "file"]]
