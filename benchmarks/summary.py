"""The one page of everything: a row for each headline target, in a table; the same, shorter, in the readmes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from . import bars
from .families import FAMILIES
from .found import Found
from .headlines import GROUPS, Group, Row, all_targets, rows
from .report import Spread, counted, where

BEGIN, END = "<!-- made by `python -m benchmarks.page` -->", "<!-- end of what is made -->"
CHINESE = {
    "heads": "| | 达到的目标 | 未达到的 |",
    "of": "{hit} / {measured}",
    "target": "目标",
    "unmeasured": "{count} 项尚未测量",
    "none": "无",
}
ENGLISH = {
    "heads": "| | targets hit | missed |",
    "of": "{hit} of {measured}",
    "target": "target",
    "unmeasured": "{count} not measured yet",
    "none": "none",
}
INTRODUCTION = (
    "A row for each target that the design of fenshen names; each family's own page, below, has the further ones,",
    "everybody who took part, and how it was measured.",
    "",
    '"fenshen" is what `fenshen run` gives a program; of requests it is `to_process`, and of words and downloads the',
    "fastest of our ways. Figures are medians. A ratio is the median of the rounds' own ratios, with the least and the",
    "greatest behind it, to whom the target names; the floor is a server, or two processes, that do nothing else.",
    "Where nothing else was set, the target is to be no slower than the best there is. More is always better: of",
    "memory, and of the slowest answers (p99 among idle connections, times p99 alone), it is how many times less we",
    'have. "Times the best peer" is bold where a peer is ahead, whether the target is hit or not.',
)
Founds = Mapping[str, "Found | None"]


class Page:
    """What has been found of all families; `pages` says what the page of a family is called, or that it has none."""

    def __init__(self, founds: Founds, pages: Callable[[str], str | None]) -> None:
        self.founds, self.pages = founds, pages
        self.grouped = [(group, rows(group, founds.get)) for group in GROUPS]

    @property
    def rows(self) -> list[Row]:
        return [row for _, some in self.grouped for row in some]

    def title(self) -> str:
        """How many of the targets are hit, in words."""
        measured = [row for row in self.rows if row.ratio]
        left = len(self.rows) - len(measured)
        hit = sum(row.hit for row in measured)
        words = f"{hit} of {len(measured)} headline targets hit, {len(measured) - hit} missed"
        return f"{words}, {left} more without a figure" if left else words

    def picture(self) -> str:
        return bars.draw(self.grouped, self.title())

    def markdown(self, picture: str) -> str:
        """The whole text, beside the picture."""
        lines = [
            "# Benchmarks",
            "",
            f"**{self.title()}.**",
            "",
            *INTRODUCTION,
            "",
            f"![{self.title()}]({picture})",
            "",
            "## Targets",
            "",
            "| | unit | fenshen | best peer | times the best peer | ratio | target | verdict |",
            "|---|---|--:|--:|:-:|:-:|---|---|",
        ]
        for group, some in self.grouped:
            lines.append(f"| **{group.english}** | | | | | | | |")
            lines += [row_text(row) for row in some]
        lines += ["", "## What was measured", "", *self.families(), ""]
        lines += ["`make bench` measures again, on your machine; `make bench-publish` writes this page."]
        return "\n".join(lines) + "\n"

    def families(self) -> list[str]:
        """A line for each run of each family."""
        lines = ["| | all targets hit | measured |", "|---|--:|---|"]
        for name, table in FAMILIES.items():
            found, page = self.founds.get(name), self.pages(name)
            link = f"[{table.title}]({page})" if page else table.title
            if found is None:
                lines.append(f"| {link} | - | not yet |")
                continue
            measured, hit = all_targets(found)
            for number, part in enumerate(found.parts):
                how = counted(part.rounds) + (f" of {part.seconds:g} s" if part.seconds else "")
                notes = [f"{len(part.failures)} measurements failed"] * bool(part.failures)
                notes += [f"not installed: {', '.join(part.absent)}"] * bool(part.absent)
                notes += ["**the machine was busy: not to be quoted**"] * part.setting.disturbed()
                told = f"{where(found, part)} {'; '.join([how, *notes])}"
                lines.append(f"| {link} | {hit} of {measured} | {told} |" if not number else f"| | | {told} |")
        claims = self.pages("claims")
        return [*lines, *([f"| [What people say]({claims}) | - | on its page |"] if claims else [])]

    def short(self, words: Mapping[str, str], name: Callable[[Group], str]) -> list[str]:
        """A line for each group, with what is missed."""
        lines = [words["heads"], "|---|--:|---|"]
        for group, some in self.grouped:
            measured = [row for row in some if row.ratio]
            missed = [
                f"{row.title}: {row.ours if row.less else row.number()} ({words['target']} {row.target})"
                for row in some
                if row.missed()
            ]
            left = len(some) - len(measured)
            missed += [words["unmeasured"].format(count=left)] if left else []
            of = words["of"].format(hit=sum(row.hit for row in measured), measured=len(measured))
            lines.append(f"| {name(group)} | {of} | {escaped('; '.join(missed) or words['none'])} |")
        return lines


def ratio(row: Row, spread: bool = False) -> str:
    """In words."""
    if not row.ratio:
        return "-"
    ends = f" ({row.ratio.low:.2f}-{row.ratio.high:.2f})" if spread else ""
    return f"{row.number()}{' less' * row.less}{ends}"


def ahead(found: Spread | None) -> str:
    if not found:
        return "-"
    return f"{found.median:.2f}x" if found.median >= 1 else f"**{found.median:.2f}x**"


def row_text(row: Row) -> str:
    found = "**missed**" if row.missed() else row.verdict()
    cells = (row.title, row.unit, row.ours, row.peer, ahead(row.ahead), ratio(row, spread=True), row.target, found)
    return f"| {' | '.join(map(escaped, cells))} |"


def escaped(text: str) -> str:
    """What may stand in a cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def in_readme(text: str, made: Sequence[str]) -> str:
    """A readme with what stands between the two marks made again."""
    marks = re.compile(f"({re.escape(BEGIN)}\n).*?(\n{re.escape(END)})", re.DOTALL)
    if not marks.search(text):
        raise LookupError(f"the readme has no {BEGIN}")
    block = "\n".join(["", *made, ""])
    return marks.sub(lambda found: found[1] + block + found[2], text)
