"""The picture of the one page: a bar for each headline target, from 1x to our ratio, with its target and the best peer.

A logarithmic scale, to the right is better. What is missed is hatched and says so in words, so that colours are not
needed to see it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from . import headlines
from .headlines import Group, Row
from .picture import STYLE, WIDTH, Axis

LEFT, RIGHT, TOP, LINE, HEADING, FOOT = 356, 232, 92, 19, 30, 16
LETTER = 6.6  # of 12 px, of the widest of the fonts that may serve
SHEET = """
  text { font-size: 12px }
  .heading { font-size: 13px; font-weight: 600 }
  .hit { fill: #2da44e } .missed { fill: #cf222e } .hatch { stroke: #ffffff; stroke-width: 2 }
  text.missed { font-weight: 600 }
  .spread { stroke: #24292f; stroke-opacity: .55 } .goal { stroke: #24292f; stroke-width: 2.5 }
  .peer { fill: #ffffff; stroke: #0969da; stroke-width: 1.75 }
  @media (prefers-color-scheme: dark) {
    .hit { fill: #2ea043 } .missed { fill: #f85149 } .hatch { stroke: #0d1117 }
    .spread { stroke: #e6edf3 } .goal { stroke: #e6edf3 } .peer { fill: #0d1117; stroke: #58a6ff }
  }
"""
HATCH = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="missed" width="6" height="6"/><path class="hatch" d="M0 0V6"/></pattern></defs>'
)
Grouped = Sequence[tuple[Group, Sequence[Row]]]


def fitting(text: str, width: float) -> str:
    """As much of it as there is room for."""
    letters = int(width / LETTER)
    return text if len(text) <= letters else text[: letters - 1].rstrip(" ,:") + "…"


def said(row: Row, width: float) -> str:
    """The ratio and to whom it is, or why there is none."""
    missed = ", missed" if row.missed() else ""
    if not row.ratio:
        words = row.why
    elif row.base == headlines.LIMIT:
        words = f"{row.ours} ({row.target})"
    else:
        words = f"{row.number()} {'less than ' * row.less}{row.base}"
    return fitting(words, width - LETTER * len(missed)) + missed


def told(row: Row) -> str:
    """All of it, for who points at the row."""
    found = row.ratio and f"{row.ratio.median:.2f}x ({row.ratio.low:.2f}-{row.ratio.high:.2f}) {row.base}"
    return f"{row.title}: {found or row.why}; target {row.target}; best peer {row.peer}; {row.verdict()}"


def bar(row: Row, axis: Axis, y: float) -> list[str]:
    """From 1x to the ratio, the spread on it; then the target, and where the best peer stands."""
    parts, one, goal = [], axis(1.0), axis(row.goal)
    if row.ratio:
        left, right = sorted((one, axis(row.ratio.median)))
        fill = 'class="hit"' if row.hit else 'fill="url(#hatch)"'
        parts.append(f'<rect {fill} x="{left:.1f}" y="{y - 5:.1f}" width="{max(right - left, 2):.1f}" height="10"/>')
        ends = f'x1="{axis(row.ratio.low):.1f}" x2="{axis(row.ratio.high):.1f}"'
        parts.append(f'<line class="spread" {ends} y1="{y:.1f}" y2="{y:.1f}"/>')
    parts.append(f'<path class="goal" d="M{goal:.1f} {y - 7.5:.1f}v15"/>')
    if row.best:
        parts.append(f'<circle class="peer" cx="{axis(row.best.median):.1f}" cy="{y:.1f}" r="3.5"/>')
    return parts


def line(row: Row, axis: Axis, y: float) -> str:
    """One row: its title, its bar, its ratio in words."""
    of_ours = "missed" if row.missed() else "" if row.ratio else "small"
    title, words = fitting(row.title, LEFT - 46), said(row, RIGHT - 36)
    return "\n".join(
        [
            f"<g><title>{escape(told(row))}</title>",
            f'<text x="{LEFT - 14}" y="{y + 4:.1f}" text-anchor="end">{escape(title)}</text>',
            *bar(row, axis, y),
            f'<text class="{of_ours}" x="{WIDTH - RIGHT + 16}" y="{y + 4:.1f}">{escape(words)}</text></g>',
        ]
    )


def legend() -> str:
    """What the marks mean."""
    marks = (
        ('<rect class="hit" x="{x}" y="45" width="18" height="10"/>', 24, "ours, target hit"),
        ('<rect fill="url(#hatch)" x="{x}" y="45" width="18" height="10"/>', 24, "ours, target missed"),
        ('<line class="spread" x1="{x}" x2="{end}" y1="50" y2="50"/>', 24, "least to greatest"),
        ('<path class="goal" d="M{x} 42.5v15"/>', 8, "target"),
        ('<circle class="peer" cx="{x}" cy="50" r="3.5"/>', 9, "best peer"),
    )
    parts, x = [], 22.0
    for mark, gap, words in marks:
        parts.append(mark.format(x=x, end=x + 18) + f'<text class="small" x="{x + gap}" y="54">{words}</text>')
        x += gap + LETTER * len(words) + 20
    return "".join(parts)


def axis_of(rows: Sequence[Row]) -> Axis:
    ends = [end for row in rows for each in (row.ratio, row.best) if each for end in (each.low, each.high)]
    ends = [end for end in ends if end > 0 and math.isfinite(end)] + [row.goal for row in rows]
    return Axis(min(ends, default=1.0), max(ends, default=1.0), LEFT, RIGHT)


def draw(grouped: Grouped, title: str) -> str:
    """The SVG's text."""
    rows = [row for _, some in grouped for row in some]
    axis = axis_of(rows)
    height = TOP + HEADING * len(grouped) + LINE * len(rows) + FOOT
    head, media, tail = STYLE.partition("  @media")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title, quote=True)}"><style>{head}{media}{tail}  }}{SHEET}</style>{HATCH}',
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="title" x="20" y="30">{escape(title)}</text>',
        f'<text class="small" x="{WIDTH - 20}" y="30" text-anchor="end">to the right is better</text>',
        legend(),
    ]
    step = axis.every(30)
    for tick in axis.ticks():
        x, kind = axis(tick), "one" if tick == 1 else "grid"
        parts.append(f'<path class="{kind}" d="M{x:.1f} {TOP - 6}V{height - FOOT}"/>')
        if round(math.log2(tick)) % step == 0:
            parts.append(
                f'<text class="small" x="{x:.1f}" y="{TOP - 12}" text-anchor="middle">{axis.text(tick)}</text>'
            )
    y = float(TOP)
    for group, some in grouped:
        parts.append(f'<text class="heading" x="20" y="{y + HEADING - 9:.1f}">{escape(group.english)}</text>')
        y += HEADING
        for row in some:
            parts.append(line(row, axis, y + LINE / 2))
            y += LINE
    return "\n".join([*parts, "</svg>"]) + "\n"
