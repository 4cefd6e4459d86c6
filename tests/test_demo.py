"""The demo, on a tree of a few files: its rows agree, and a program that prints something else is found out."""

import ast
import pathlib
import subprocess
import sys

import pytest

DEMO = pathlib.Path(__file__).resolve().parent.parent / "examples" / "demo.py"


def tree(folder: pathlib.Path) -> pathlib.Path:
    """A few files: an empty one, a large one, one of exactly a block."""
    (folder / "inner").mkdir(parents=True)
    (folder / "empty.py").write_text("")
    (folder / "large.py").write_text("import sys\n" * 2000)
    (folder / "inner" / "block.py").write_text("# ab " * 102 + "at")
    for number in range(20):
        (folder / f"small{number}.py").write_text("# for word in words: count the word\ndef count(word): pass\n")
    return folder


def run_demo(folder: pathlib.Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(DEMO), "--folder", str(folder), "--delay", "0.001", "--rounds", "1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_all_rows_print_the_same(tmp_path):
    done = run_demo(tree(tmp_path / "tree"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("The outputs are the same.") == 2
    assert "2,000  import" in done.stdout
    assert "fenshen run wordcount.py" in done.stdout
    assert "20 functions\n      20  count" in done.stdout
    assert "fenshen run index_grouped.py" in done.stdout
    # A busy machine may take long for a step, and is told so.
    assert [line for line in done.stderr.splitlines() if "has held the loop for" not in line] == []


def test_a_difference_is_an_error(tmp_path):
    sys.path.insert(0, str(DEMO.parent))
    try:
        import demo
    finally:
        sys.path.remove(str(DEMO.parent))
    ways = demo.rows("0")
    assert demo.compare(ways, [{"a"}, {"a"}, {"a"}])
    assert not demo.compare(ways, [{"a"}, {"a"}, {"b"}])
    assert not demo.compare(ways, [{"a"}, {"a", "b"}, {"a"}])


@pytest.mark.parametrize("program", ["wordcount.py", "index_glued.py"])
def test_the_program_is_ordinary(program):
    text = (DEMO.parent / program).read_text()
    imported = {
        alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names
    }
    assert imported
    assert imported <= sys.stdlib_module_names
    assert "fenshen" not in text
