"""What the documents hold: links, anchors, and the programs in their code blocks.

How a page says what is to be done with a block:

- a ```` ```python ```` block is a program, and runs by itself, in an empty folder;
- `<!-- not run: reason -->` on the line before it: it is a fragment;
- `<!-- goes on -->`: it is appended to the block before it, and both run as one program;
- `<!-- file: bank.py -->`: it is saved under that name, for a console block of the page;
- a ```` ```console ```` block whose command runs such a file is run too, and what follows the command is compared with
  what is printed. Numbers, addresses and folders are not compared; a line of `...` stands for any lines, and `...` in a
  line for any part of it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

FENCE = re.compile(r"^(?P<fence>```+)(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=fence) *$", re.MULTILINE | re.DOTALL)
REMARK = re.compile(r"<!-- (?P<what>not run|goes on|file)(?:: (?P<detail>.*?))? -->\n*\Z")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+(?:\([^()]*\))?)\)")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#* *$", re.MULTILINE)
COMMAND = re.compile(r"\$ (?:\w+=\S+ )*(?:fenshen run|python)\b.*? (?P<file>[\w./]+\.py)(?: .*)?$")


class Block(NamedTuple):
    """A fenced block: where it begins, its language, its text, what the page says of it, and the detail of that."""

    page: Path
    line: int
    language: str
    text: str
    what: str
    detail: str


class Program(NamedTuple):
    """What is to be run: a name for the test, the files that lie beside it, the command, and what it should print."""

    name: str
    files: dict[str, str]
    command: str
    printed: str | None


def pages() -> list[Path]:
    """Every document for users and contributors."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("crates/*/*.md"))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name


@cache
def prose(page: Path) -> str:
    """The page without code, fenced or inline, and without comments."""
    text = FENCE.sub("", page.read_text())
    return re.sub(r"<!--.*?-->", "", re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "code", text), flags=re.DOTALL)


def links(page: Path) -> list[str]:
    """The targets of all links and pictures that stay in the tree."""
    found = [match["target"] for match in LINK.finditer(prose(page))]
    return [target for target in found if not re.match(r"[a-z]+:", target)]


@cache
def anchors(page: Path) -> frozenset[str]:
    """What GitHub lets one link to on the page: its headings in lower case, with hyphens, repeated ones numbered."""
    seen: dict[str, int] = {}
    names = set()
    for heading in HEADING.finditer(FENCE.sub("", page.read_text())):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"])
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        times = seen[name] = seen.get(name, -1) + 1
        names.add(f"{name}-{times}" if times else name)
    return frozenset(names)


def broken(page: Path) -> list[str]:
    """The links of the page that lead nowhere."""
    wrong = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            wrong.append(target)
    return wrong


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text()
    found = []
    for match in FENCE.finditer(text):
        remark = REMARK.search(text, 0, match.start())
        what, detail = (remark["what"], remark["detail"] or "") if remark else ("", "")
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match["language"], match["text"], what, detail))
    return found


def commands(block: Block) -> list[tuple[str, str, str]]:
    """Of a console block: the commands that run a file, that file's name, and what should be printed."""
    parts = re.split(r"^(?=\$ )", block.text, flags=re.MULTILINE)
    lines = [part.partition("\n") for part in parts if part]
    return [(line[2:], run["file"], printed) for line, _, printed in lines if (run := COMMAND.match(line))]


def programs(page: Path) -> list[Program]:
    """Every program of a page that is meant to run."""
    files: dict[str, str] = {}
    found: list[Program] = []
    for block in blocks(page):
        name = f"{name_of(page)}:{block.line}"
        if block.language == "python" and block.what == "goes on":
            earlier = found.pop()
            text = earlier.files["program.py"] + "\n" + block.text
            found.append(earlier._replace(files={**files, "program.py": text}))
        elif block.language == "python" and block.what == "file":
            files[block.detail] = block.text
        elif block.language == "python" and not block.what:
            found.append(Program(name, {**files, "program.py": block.text}, "python program.py", None))
        elif block.language == "console":
            for command, file, printed in commands(block):
                if file in files:
                    found.append(Program(f"{name}-{file}", dict(files), command, printed))
    return found


def unused_files(page: Path) -> set[str]:
    """Files that a page has, and neither runs nor imports."""
    files = {block.detail: block.text for block in blocks(page) if block.what == "file"}
    run = {file for block in blocks(page) if block.language == "console" for _, file, _ in commands(block)}
    text = "\n".join(block.text for block in blocks(page) if block.language == "python")
    return {
        name
        for name in files.keys() - run
        if not re.search(rf"\bimport {Path(name).stem}\b|\b{Path(name).stem} import", text)
    }


def essence(printed: str, folder: str = "") -> list[str]:
    """The lines that are printed, without what differs from run to run: numbers, addresses, the folder."""
    if folder:
        printed = printed.replace(folder + "/", "")
    printed = re.sub(r"0x(?:[0-9a-f]+|\.\.\.)", "address", printed)
    printed = re.sub(r"\d[\d,]*(?:\.\d+)?(?: ?(?:us|ms|s|ns|µs|x))?\b", "_", printed)
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    # Which part of a line raised is underlined by some versions of the interpreter only.
    return [line for line in lines if not line or line.strip(" ^~")]


def without_delays(printed: list[str], expected: list[str]) -> list[str]:
    """What is printed, without complaints of a slow loop that the page does not have: the machine was busy."""
    return [line for line in printed if line in expected or "has held the loop for" not in line]


def agrees(expected: list[str], printed: list[str]) -> bool:
    """Whether these are the same lines, where a line of `...` stands for any number of them, and `...` in one for any
    part of it."""
    if not expected:
        return not printed
    if expected[0].strip() == "...":
        return any(agrees(expected[1:], printed[start:]) for start in range(len(printed) + 1))
    pattern = ".*".join(map(re.escape, expected[0].split("...")))
    return bool(printed) and bool(re.fullmatch(pattern, printed[0])) and agrees(expected[1:], printed[1:])
