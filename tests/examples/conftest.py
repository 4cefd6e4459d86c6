"""What the examples' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@pytest.fixture
def examples(monkeypatch) -> Path:
    """The folder of the examples, whose modules can be imported while the test runs."""
    import sys

    before = set(sys.modules)
    for folder in (EXAMPLES, EXAMPLES / "downloader"):
        monkeypatch.syspath_prepend(str(folder))
    yield EXAMPLES
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(EXAMPLES)):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A few files to serve: one in a folder of its own, one larger than a block."""
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "large.txt").write_bytes(bytes(range(256)) * 1200)
    (source / "inner" / "a name with spaces.txt").write_text("some words\n")
    for number in range(10):
        (source / f"small{number}.txt").write_text(f"file {number}\n" * 50)
    return source
