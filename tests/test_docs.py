"""The documents: every link leads somewhere, every program in them runs and prints what the page says."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import documents
import pytest
from commands import end, needs_native, start

PAGES = documents.pages()
PROGRAMS = [program for page in PAGES for program in documents.programs(page)]


@pytest.mark.parametrize("page", PAGES, ids=documents.name_of)
def test_links(page):
    assert documents.broken(page) == []


@pytest.mark.parametrize("page", PAGES, ids=documents.name_of)
def test_blocks_are_marked(page):
    """A fragment says why it is not run, and a file is there for a command."""
    silent = [block.line for block in documents.blocks(page) if block.what == "not run" and not block.detail]
    assert silent == []
    assert documents.unused_files(page) == set()


def code(page: Path) -> list[list[str]]:
    """The lines of a page's programs and commands, without comments and words in another script."""
    fenced = [block for block in documents.blocks(page) if block.language in ("python", "console")]
    return [
        [re.sub(r"(\s*#.*| arguments| [^\x00-\x7f]+)$", "", line) for line in block.text.splitlines()]
        for block in fenced
    ]


def test_both_readmes_show_the_same():
    assert code(documents.ROOT / "README.md") == code(documents.ROOT / "README.zh-CN.md")


def links(page: Path) -> list[str]:
    """Where a page leads, but for the other language's."""
    return [target for target in documents.links(page) if "README" not in target]


def test_both_readmes_lead_to_the_same():
    english, chinese = (documents.ROOT / name for name in ("README.md", "README.zh-CN.md"))
    assert sorted(links(english)) == sorted(links(chinese))


def test_examples_of_the_readme():
    """Each line names an example that is there and has a test, and no example lacks its line."""
    text = (documents.ROOT / "README.md").read_text()
    shown = set(re.findall(r"^\| `(?:python|fenshen run) examples/(\w+)", text, re.MULTILINE))
    tested = {path.stem.removeprefix("test_") for path in (documents.ROOT / "tests" / "examples").glob("test_*.py")}
    assert shown == tested
    assert all(
        (documents.ROOT / "examples" / name).exists() or (documents.ROOT / "examples" / f"{name}.py").exists()
        for name in shown
    )


@needs_native
@pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
def test_programs(program, tmp_path):
    for name, text in program.files.items():
        (tmp_path / name).write_text(text)
    words = shlex.split(program.command)
    # The pages show what pytest prints where no other plugin is installed, and in a terminal.
    env = {"PYTEST_ADDOPTS": "-p no:asyncio -p no:anyio -p no:timeout"}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    command = [sys.executable, "-m", "fenshen", *words[1:]] if words[0] == "fenshen" else [sys.executable, *words[1:]]
    # What is printed by both is shown as a terminal would show it: as it came.
    script = f"unset CI BUILD_NUMBER; exec {shlex.join(command)} 2>&1"
    done = end(start(["sh", "-c", script], cwd=tmp_path, PYTHONUNBUFFERED="1", **env), "", seconds=60)
    if program.printed is None:
        assert done.status == 0, done.out
        return
    expected, printed = (documents.essence(text, str(tmp_path)) for text in (program.printed, done.out))
    printed = documents.without_delays(printed, expected)
    assert documents.agrees(expected, printed), f"the page says\n{program.printed}\nbut it prints\n{done.out}"


def test_what_is_found(tmp_path):
    """The checks find what they look for."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A `first` page\n[good](#a-first-page) [bad](#none) [gone](gone.md) `[code](no)` [web](https://a.b)\n"
        "<!-- not run: a fragment -->\n```python\nx = [a](b)\n```\n\n```python\nprint(1)\n```\n"
        "<!-- goes on -->\n```python\nprint(2)\n```\n"
        "<!-- file: there.py -->\n```python\nprint('took 3.5 s')\n```\n```console\n$ python there.py\ntook 1 s\n```\n"
        "<!-- file: idle.py -->\n```python\n```\n"
    )
    assert documents.broken(page) == ["#none", "gone.md"]
    first, second = documents.programs(page)
    assert first.files["program.py"] == "print(1)\n\nprint(2)\n"
    assert (second.command, second.printed) == ("python there.py", "took 1 s\n")
    assert documents.unused_files(page) == {"idle.py"}


def test_what_agrees():
    agrees, essence = documents.agrees, documents.essence
    assert agrees(essence("took 12.5 ms at 0xff\n"), essence("took 3 s at 0xfe\n\n"))
    assert agrees(["a", "  ...", "d"], ["a", "b", "c", "d"])
    assert agrees(["a", "..."], ["a"])
    assert not agrees(["a"], ["a", "b"])
    assert not agrees(["a", "...", "e"], ["a", "b", "c", "d"])
    assert essence('File "/tmp/x/bank.py", line 3', "/tmp/x") == ['File "bank.py", line _']
