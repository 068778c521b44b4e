"""The plot: how far each figure is from its goal, one bar a row, as an SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.registry import Row

WIDTH, LEFT, RIGHT, LINE, TOP = 920, 330, 150, 22, 46
LEAST, MOST = 0.25, 8.0
"""Times the goal, at the ends of the axis; what lies beyond is drawn to the end."""
STEPS = (0.25, 0.5, 1, 2, 4, 8)
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 } .quiet { fill: #656d76 } .head { font-weight: 600 }
.held { fill: #2d7d46 } .missed { fill: #b5482f }
.grid { stroke: #d0d7de } .goal { stroke: #1f2328; stroke-width: 1.5 } .paper { fill: #ffffff }
"""


def draw(rows: Sequence[Row]) -> str:
    """Rows without a goal are left out."""
    judged = [row for row in rows if row.margin is not None]
    height = TOP + LINE * len(judged) + 34
    bottom = TOP + LINE * len(judged)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        ' aria-label="Each measured figure as a multiple of its goal">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        '<text class="head" x="12" y="22">Measured, as a multiple of the goal</text>',
    ]
    for step in STEPS:
        kind = "goal" if step == 1 else "grid"
        parts.append(f'<path class="{kind}" d="M{_x(step):.1f} {TOP - 8}V{bottom}"/>')
        label = "goal" if step == 1 else f"{step:g} x"
        parts.append(
            f'<text class="quiet" text-anchor="middle" x="{_x(step):.1f}" y="{bottom + 18}">{label}</text>'
        )
    for number, row in enumerate(judged):
        parts += _bar(row, TOP + LINE * number)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(row: Row, y: int) -> list[str]:
    margin = row.margin or 0.0
    start, end = sorted((_x(1), _x(margin)))
    kind = "held" if row.held else "missed"
    judged = f"{row.judged:.2f} x" if row.ratio is not None else f"{row.judged:,.3g} {row.unit}"
    label = escape(f"{judged} ({row.goal})")
    wide, high = max(end - start, 1), LINE - 8
    return [
        f'<text text-anchor="end" x="{LEFT - 12}" y="{y + 13}">{escape(row.what)}</text>',
        f'<rect class="{kind}" x="{start:.1f}" y="{y + 2}" width="{wide:.1f}" height="{high}" rx="2"/>',
        f'<text class="quiet" x="{WIDTH - RIGHT + 12}" y="{y + 13}">{label}</text>',
    ]


def _x(margin: float) -> float:
    span = math.log(MOST / LEAST)
    inside = min(max(margin, LEAST), MOST)
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log(inside / LEAST) / span
