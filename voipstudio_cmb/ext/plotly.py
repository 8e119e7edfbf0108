"""A page of charts by plotly.js, which needs nothing but a browser: no network, no other file.

Extra: `chart`.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

import attrs
from plotly.offline import get_plotlyjs

from voipstudio_cmb.boundary.text import html_table, on_one_line

# Whatever a name says, the browser asks nobody for anything. plotly.js makes functions of texts.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; form-action 'none'; base-uri 'none'"
)
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; background: #fff; margin: 0 auto;
       max-width: 72rem; padding: 1rem; }
figure { margin: 2rem 0; } figcaption { font-weight: 600; } .plot { height: 22rem; }
table { border-collapse: collapse; } td, th { padding: 0 .75rem; text-align: left; }
"""
_COLOURS = ["#1f77b4", "#c2ccd6", "#9467bd", "#8c564b", "#17becf", "#7f7f7f"]
_SHADES = [[0, "#f0f4f8"], [1, "#1f77b4"]]
# Of the buttons, none that shares a chart by somebody's server.
_SCRIPT = """
const OPTIONS = {displaylogo: false, responsive: true, modeBarButtons: [["toImage"]]};
for (const [id, data, layout] of FIGURES)
  Plotly.newPlot(id, data, layout, OPTIONS);
"""


@attrs.frozen
class Figure:
    """One chart of a page."""

    title: str
    kind: str
    """"bars", "lines" (bars along the page), "share" or "grid"."""
    names: Sequence[str]
    series: Sequence[tuple[str, Sequence[int]]]
    """The name of each series, and its value for each of `names`; of a grid, its rows."""

    def data(self) -> list[dict[str, Any]]:
        """The traces, as plotly.js takes them."""
        names = [*map(_label, self.names)]
        if self.kind == "grid":
            rows = {"y": [name for name, _ in self.series], "z": [row for _, row in self.series]}
            return [{"type": "heatmap", "x": names, **rows, "colorscale": _SHADES}]
        if self.kind == "share":
            values = self.series[0][1]
            return [{"type": "pie", "hole": 0.5, "labels": names, "values": values, "sort": False}]
        traces = []
        for name, values in self.series:
            flat = {"orientation": "h", "x": values, "y": names}
            places = flat if self.kind == "lines" else {"x": names, "y": values}
            traces.append({"type": "bar", "name": _label(name), **places})
        return traces

    def layout(self) -> dict[str, Any]:
        """How they are laid out."""
        axis = {"automargin": True, "fixedrange": True}
        categories = {**axis, "type": "category"}
        across, up = (axis, categories) if self.kind == "lines" else (categories, axis)
        if self.kind == "bars" and self.names and self.names[0][4:5] == "-":
            across = {"automargin": True, "type": "date"}
        if self.kind in ("lines", "grid"):
            up = {**categories, "autorange": "reversed"}
        return {
            "margin": {"l": 48, "r": 16, "t": 16, "b": 48},
            "barmode": "stack",
            "colorway": _COLOURS,
            "legend": {"orientation": "h"},
            "showlegend": self.kind == "share" or len(self.series) > 1,
            "xaxis": across,
            "yaxis": up,
        }

    def table(self) -> str:
        """The same in figures."""
        columns = (values for _, values in self.series)
        return html_table(
            ["", *(name for name, _ in self.series)], zip(self.names, *columns, strict=True)
        )


def _label(text: str) -> str:
    """`text` as plotly.js shows it: tags in it are none."""
    return html.escape(on_one_line(text), quote=False)


BEGINNING = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="generator" content="voipstudio-cmb chart">'
)
"""How each page begins."""


def page(title: str, note: str, figures: Sequence[Figure]) -> str:
    """The page with these `figures`, below its `title` and a `note`."""
    sections, drawn = [], []
    for at, figure in enumerate(figures):
        caption = html.escape(on_one_line(figure.title))
        sections.append(
            f'<figure><figcaption>{caption}</figcaption><div class="plot" id="figure{at}"></div>'
            f"<details><summary>Figures</summary>{figure.table()}</details></figure>"
        )
        drawn.append([f"figure{at}", figure.data(), figure.layout()])
    # As JSON that ends no script.
    data = json.dumps(drawn).replace("<", "\\u003c")
    heading = html.escape(on_one_line(title))
    return (
        f"{BEGINNING}"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{heading}</title><style>{_STYLE}</style></head>\n'
        f"<body><h1>{heading}</h1><p>{html.escape(on_one_line(note))}</p>\n"
        f"{''.join(sections)}\n<script>{get_plotlyjs()}</script>\n"
        f"<script>const FIGURES = {data};{_SCRIPT}</script></body></html>\n"
    )
