"""Draws what a run has measured: each claim a line, each contender a dot where its ratio is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from statistics import median
from typing import Any

_LEFT, _WIDTH, _LINE, _TOP = 400, 1000, 62, 64
_LEAST, _MOST = 0.03, 40.0
"""The ratios at both ends of the axis, which is logarithmic."""

_STYLE = """text { font: 13px sans-serif; fill: #222 } .small { font-size: 11px; fill: #666 }
.ours { fill: #0b62c4 } .ours-label { fill: #0b62c4; font-weight: bold }
.peer { fill: #fff; stroke: #888; stroke-width: 1.5 } .grid { stroke: #e4e4e4 }
.one { stroke: #444; stroke-dasharray: 3 3 }"""


def _x(ratio: float) -> float:
    share = math.log(min(max(ratio, _LEAST), _MOST) / _LEAST) / math.log(_MOST / _LEAST)
    return round(_LEFT + share * (_WIDTH - _LEFT - 30), 1)


def _ratios(claim: Mapping[str, Any]) -> dict[str, float]:
    """The contenders' ratios to the limit, by their names."""
    limits = [sample["value"] for sample in claim["samples"][claim["limit"]]]
    return {
        name: median(s["value"] / of for s, of in zip(samples, limits, strict=True))
        for name, samples in claim["samples"].items()
        if name != claim["limit"]
    }


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _line(claim: Mapping[str, Any], y: int) -> Iterator[str]:
    """One claim: its words, what it is compared with, and the dots."""
    yield _text(10, y, claim["says"])
    yield _text(10, y + 14, f"1 x = {claim['limit']}", "small")
    taken = [-math.inf] * 3  # where the last name ends, in each line below the dots
    for name, ratio in sorted(_ratios(claim).items(), key=lambda each: each[1]):
        x, ours = _x(ratio), name == claim["ours"]
        kind = 'r="6" class="ours"' if ours else 'r="4.5" class="peer"'
        title = f"<title>{escape(name)}: {ratio:.2f} x</title>"
        yield f'<circle cx="{x}" cy="{y}" {kind}>{title}</circle>'
        if ours:
            yield _text(x, y - 10, f"{ratio:.2f}", "ours-label", "middle")
        else:
            half = 3.2 * len(name)
            row = next((row for row, end in enumerate(taken) if end <= x - half), 2)
            taken[row] = x + half
            yield _text(x, y + 16 + 11 * row, name, "small", "middle")


def picture(content: Mapping[str, Any]) -> str:
    """An SVG of the claims in `content`, the JSON of a run, that compare it with another."""
    own = ("misfits", "growth")  # compared with nothing but this package
    claims = [c for c in content["claims"] if c["limit"] and not c["claim"].startswith(own)]
    height = _TOP + _LINE * len(claims) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        "<title>What voipstudio_cmb costs beside what one would use otherwise</title>",
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>',
        _text(10, 22, "Cost beside what one would use otherwise: less is better"),
        '<circle cx="16" cy="40" r="6" class="ours"/>' + _text(28, 44, "voipstudio_cmb", "small"),
        '<circle cx="136" cy="40" r="4.5" class="peer"/>' + _text(146, 44, "others", "small"),
    ]
    for tick in (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 25):
        x = _x(tick)
        kind = "one" if tick == 1 else "grid"
        parts.append(f'<path d="M{x} {_TOP - 12}V{height - 10}" class="{kind}"/>')
        parts.append(_text(x, _TOP - 18, f"{tick:g} x", "small", "middle"))
    for number, claim in enumerate(claims):
        parts += _line(claim, _TOP + _LINE * number + 18)
    return "\n".join([*parts, "</svg>"]) + "\n"
