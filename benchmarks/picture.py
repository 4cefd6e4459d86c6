"""The picture: a row a workload, a dot for each at its ratio to the base, a line from the least to the greatest.

Plain SVG that follows the reader's light or dark colours by itself.
"""

import math
from collections.abc import Iterator
from html import escape

from .measure import FLOOR, Plan, Samples
from .report import ByName, Spread, Taken, counted, ratio, samples_of
from .tables import Table
from .workloads import Workload

WIDTH, LEFT, RIGHT, TOP, ROW, LINE = 980, 370, 96, 92, 44, 18
LETTER = 6.8  # the width of one, more or less
UNDRAWN = ("objects", "timeouts")  # their rates are beside the point
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
  .small { font-size: 11.5px; fill: #57606a }
  text.number { font-weight: 600; stroke: none }
  .title { font-size: 16px; font-weight: 600 }
  .grid { stroke: #d8dee4 } .one { stroke: #8c959f } .target { fill: none; stroke: #1a7f37; stroke-width: 2 }
  .card { fill: #ffffff; stroke: #d8dee4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 }
    .grid { stroke: #30363d } .one { stroke: #6e7681 } .target { stroke: #3fb950 }
    .card { fill: #0d1117; stroke: #30363d }
"""


def style(table: Table) -> str:
    """The sheet, with a class for each contender in light and in dark."""
    pairs = list(enumerate(table.colours.values()))
    light = "".join(f"  .l{i} {{ fill: {light}; stroke: {light} }}\n" for i, (light, _) in pairs)
    dark = "".join(f"    .l{i} {{ fill: {dark}; stroke: {dark} }}\n" for i, (_, dark) in pairs)
    head, media, tail = STYLE.partition("  @media")
    return f"<style>{head}{light}{media}{tail}{dark}  }}\n</style>"


class Axis:
    """Ratios from left to right, on a logarithmic scale, between margins of so much."""

    def __init__(self, least: float, greatest: float, left: float = LEFT, right: float = RIGHT) -> None:
        self.low = math.floor(math.log2(min(least, 0.5)))
        self.high = math.ceil(math.log2(max(greatest, 2.0)))
        self.left, self.right = left, right

    def __call__(self, value: float) -> float:
        share = (math.log2(value) - self.low) / (self.high - self.low)
        return self.left + share * (WIDTH - self.left - self.right)

    def ticks(self) -> Iterator[float]:
        return (2.0**power for power in range(self.low, self.high + 1))

    @staticmethod
    def text(tick: float) -> str:
        return f"{tick:g}x" if tick >= 0.25 else f"1/{1 / tick:g}x"

    def every(self, room: float) -> int:
        """Which ticks have their number by them, when each number needs so much room."""
        return max(1, math.ceil(room / (self(2.0) - self(1.0))))


def shown(plan: Plan, samples: Samples) -> list[tuple[Workload, dict[str, Spread], float | None]]:
    """The rows: everybody's ratio to the base, and where the target stands on that scale."""
    rows = []
    for workload in plan.workloads:
        if not workload.target and (workload.cell or workload.kind in UNDRAWN):
            continue
        by_name = samples[workload.name]
        base = by_name.get(plan.table.base, [])
        found = {name: ratio(taken, base) for name, taken in by_name.items() if name != FLOOR}
        if ratios := {name: each for name, each in found.items() if each}:
            rows.append((workload, ratios, target(workload, by_name, base)))
    return rows


def target(workload: Workload, by_name: ByName, base: Taken) -> float | None:
    if workload.target is None:
        return None
    of = ratio(samples_of(workload.target.of, by_name), base)
    return workload.target.factor * of.median if of else None


def mark(table: Table, axis: Axis, name: str, found: Spread, y: float) -> str:
    """A dot, with its spread behind it."""
    number, x = list(table.colours).index(name), axis(found.median)
    return (
        f'<g class="l{number}"><title>{escape(name)}: {found.median:.2f}x ({found.low:.2f}-{found.high:.2f})</title>'
        f'<line x1="{axis(found.low):.1f}" x2="{axis(found.high):.1f}" y1="{y:.1f}" y2="{y:.1f}" '
        f'stroke-width="2.5" stroke-linecap="round" stroke-opacity=".45"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" stroke="none"/></g>'
    )


def ours(table: Table, name: str, found: Spread, y: float) -> str:
    """Our number in words, at the right."""
    colour = f'class="l{list(table.colours).index(name)} number"'
    return f'<text {colour} x="{WIDTH - 20}" y="{y + 4:.1f}" text-anchor="end">{found.median:.2f}x</text>'


def titled(title: str, y: float) -> str:
    """The name of a row, narrower where it is too long for its place."""
    room = LEFT - 38
    narrow = f' textLength="{room}" lengthAdjust="spacingAndGlyphs"' if LETTER * len(title) > room else ""
    return f'<text x="{LEFT - 18}" y="{y + 4:.1f}" text-anchor="end"{narrow}>{escape(title)}</text>'


def legend(plan: Plan) -> tuple[list[str], int]:
    """Everybody's colour, in as many lines as that takes, and how many these are."""
    parts, x, lines = [], 24.0, 1
    target = '<path class="target" d="M{x:.1f} {above:.1f}v14"/>'
    marks = [
        (name, f'<circle class="l{number}" cx="{{x:.1f}}" cy="{{y:.1f}}" r="4.5" stroke="none"/>')
        for number, name in enumerate(plan.table.colours)
        if name in plan.contenders
    ]
    for words, mark in [*marks, ("our target", target)]:
        width = 20 + LETTER * len(words)
        if x + width > WIDTH - 20:
            x, lines = 24.0, lines + 1
        y = 50.0 + LINE * (lines - 1)
        parts.append(mark.format(x=x, y=y, above=y - 7))
        parts.append(f'<text class="small" x="{x + 9:.1f}" y="{y + 4:.1f}">{escape(words)}</text>')
        x += width + 14
    return parts, lines


def draw(plan: Plan, samples: Samples) -> str:
    """The SVG's text."""
    rows, table = shown(plan, samples), plan.table
    ends = [end for _, ratios, goal in rows for each in ratios.values() for end in (each.low, each.high, goal or 1.0)]
    axis = Axis(min(ends, default=1.0), max(ends, default=1.0))
    names, lines = legend(plan)
    top = TOP + LINE * (lines - 1)
    height = top + ROW * len(rows) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Speeds as multiples of that of {table.base}">{style(table)}',
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="title" x="20" y="30">Times {table.base}, more is better</text>'
        f'<text class="small" x="{WIDTH - 20}" y="30" text-anchor="end">{counted(plan.rounds)}; '
        f"dot: median, line: least to greatest</text>",
        *names,
    ]
    step = axis.every(36)
    for number, tick in enumerate(axis.ticks()):
        x, kind = axis(tick), "one" if tick == 1 else "grid"
        parts.append(f'<path class="{kind}" d="M{x:.1f} {top - 6}V{height - 18}"/>')
        if (number + axis.low) % step == 0:
            parts.append(
                f'<text class="small" x="{x:.1f}" y="{top - 12}" text-anchor="middle">{axis.text(tick)}</text>'
            )
    for number, (workload, ratios, goal) in enumerate(rows):
        y = top + ROW * (number + 0.5)
        parts.append(titled(workload.title, y))
        if goal:
            parts.append(f'<path class="target" d="M{axis(goal):.1f} {y - ROW * 0.42:.1f}v{ROW * 0.84:.1f}"/>')
        parts.append(f'<path class="grid" d="M20 {y + ROW / 2:.1f}H{WIDTH - 20}"/>')
        step = ROW * 0.64 / max(1, len(ratios) - 1)
        for place, (name, found) in enumerate(ratios.items()):
            parts.append(mark(table, axis, name, found, y - ROW * 0.32 + place * step))
        parts += [ours(table, name, ratios[name], y) for name in table.ours[:1] if name in ratios]
    return "\n".join([*parts, "</svg>"]) + "\n"
