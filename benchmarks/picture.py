"""The picture: a row a workload, a dot a loop at its ratio to uvloop, a line through it from the least to the greatest.

Plain SVG that follows the reader's light or dark colours by itself.
"""

import math
from collections.abc import Iterator
from html import escape

from .measure import FLOOR, Plan, Samples
from .report import OURS, ByLoop, Spread, Taken, ratio, samples_of
from .workloads import Workload

WIDTH, LEFT, RIGHT, TOP, ROW = 980, 370, 96, 92, 44
COLOURS = {
    "asyncio": ("#8a8f98", "#9aa0aa"),
    "uvloop": ("#3b7dd8", "#6aa5f2"),
    "rloop": ("#c2711f", "#e69a4e"),
    "fenshen": ("#b08ad9", "#8f6cc0"),
    "fenshen (installed)": ("#7a3fc4", "#c49bff"),
}
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


def style() -> str:
    """The sheet, with a class for each loop in light and in dark."""
    light = "".join(f"  .l{i} {{ fill: {light}; stroke: {light} }}\n" for i, (light, _) in enumerate(COLOURS.values()))
    dark = "".join(f"    .l{i} {{ fill: {dark}; stroke: {dark} }}\n" for i, (_, dark) in enumerate(COLOURS.values()))
    head, media, tail = STYLE.partition("  @media")
    return f"<style>{head}{light}{media}{tail}{dark}  }}\n</style>"


class Axis:
    """Ratios from left to right, on a logarithmic scale."""

    def __init__(self, least: float, greatest: float) -> None:
        self.low = math.floor(math.log2(min(least, 0.5)))
        self.high = math.ceil(math.log2(max(greatest, 2.0)))

    def __call__(self, value: float) -> float:
        share = (math.log2(value) - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> Iterator[float]:
        return (2.0**power for power in range(self.low, self.high + 1))


def shown(plan: Plan, samples: Samples) -> list[tuple[Workload, dict[str, Spread], float | None]]:
    """The rows: each loop's ratio to uvloop, and where the target stands on that scale."""
    rows = []
    for workload in plan.workloads:
        if workload.cell and not workload.target:
            continue
        by_loop = samples[workload.name]
        base = by_loop.get("uvloop", [])
        found = {loop: ratio(taken, base) for loop, taken in by_loop.items() if loop != FLOOR}
        if ratios := {loop: each for loop, each in found.items() if each}:
            rows.append((workload, ratios, target(workload, by_loop, base)))
    return rows


def target(workload: Workload, by_loop: ByLoop, base: Taken) -> float | None:
    if workload.target is None:
        return None
    of = ratio(samples_of(workload.target.of, by_loop), base)
    return workload.target.factor * of.median if of else None


def mark(axis: Axis, loop: str, found: Spread, y: float) -> str:
    """A dot, with its spread behind it."""
    number, x = list(COLOURS).index(loop), axis(found.median)
    return (
        f'<g class="l{number}"><title>{escape(loop)}: {found.median:.2f}x ({found.low:.2f}-{found.high:.2f})</title>'
        f'<line x1="{axis(found.low):.1f}" x2="{axis(found.high):.1f}" y1="{y:.1f}" y2="{y:.1f}" '
        f'stroke-width="2.5" stroke-linecap="round" stroke-opacity=".45"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" stroke="none"/></g>'
    )


def ours(loop: str, found: Spread, y: float) -> str:
    """Our number in words, at the right."""
    colour = f'class="l{list(COLOURS).index(loop)} number"'
    return f'<text {colour} x="{WIDTH - 20}" y="{y + 4:.1f}" text-anchor="end">{found.median:.2f}x</text>'


def legend(loops: list[str]) -> Iterator[str]:
    x = float(LEFT)
    for loop in loops:
        yield f'<circle class="l{list(COLOURS).index(loop)}" cx="{x:.1f}" cy="50" r="4.5" stroke="none"/>'
        yield f'<text class="small" x="{x + 9:.1f}" y="54">{escape(loop)}</text>'
        x += 34 + 6.4 * len(loop)
    yield f'<path class="target" d="M{x:.1f} 43v14"/><text class="small" x="{x + 8:.1f}" y="54">our target</text>'


def draw(plan: Plan, samples: Samples) -> str:
    """The SVG's text."""
    rows = shown(plan, samples)
    ends = [end for _, ratios, goal in rows for each in ratios.values() for end in (each.low, each.high, goal or 1.0)]
    axis = Axis(min(ends, default=1.0), max(ends, default=1.0))
    height = TOP + ROW * len(rows) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f"aria-label=\"Each loop's speed as a multiple of uvloop's\">{style()}",
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="title" x="20" y="30">Times uvloop, more is better</text>'
        f'<text class="small" x="{WIDTH - 20}" y="30" text-anchor="end">{plan.rounds} rounds; '
        f"dot: median, line: least to greatest</text>",
        *legend([loop for loop in COLOURS if loop in plan.loops]),
    ]
    for tick in axis.ticks():
        x, kind = axis(tick), "one" if tick == 1 else "grid"
        parts.append(f'<path class="{kind}" d="M{x:.1f} {TOP - 6}V{height - 18}"/>')
        parts.append(f'<text class="small" x="{x:.1f}" y="{TOP - 12}" text-anchor="middle">{tick:g}x</text>')
    for number, (workload, ratios, goal) in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        parts.append(f'<text x="{LEFT - 18}" y="{y + 4:.1f}" text-anchor="end">{escape(workload.title)}</text>')
        if goal:
            parts.append(f'<path class="target" d="M{axis(goal):.1f} {y - ROW * 0.42:.1f}v{ROW * 0.84:.1f}"/>')
        parts.append(f'<path class="grid" d="M20 {y + ROW / 2:.1f}H{WIDTH - 20}"/>')
        step = ROW * 0.64 / max(1, len(ratios) - 1)
        for place, (loop, found) in enumerate(ratios.items()):
            parts.append(mark(axis, loop, found, y - ROW * 0.32 + place * step))
        parts += [ours(loop, ratios[loop], y) for loop in OURS[:1] if loop in ratios]
    return "\n".join([*parts, "</svg>"]) + "\n"
