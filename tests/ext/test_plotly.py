"""The page of charts: one file, which asks nobody for anything, whatever the names in it say."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.fakes.hostile import HOSTILE
from voipstudio_cmb.cli.page import figures
from voipstudio_cmb.cli.tally import Tally, created_at
from voipstudio_cmb.ext.plotly import page

EVIL = '</script><script src="https://evil.example/x.js"></script><a href="https://evil.example">x'


class Page(HTMLParser):
    """The tags of a page, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.lasttag, data))

    def handle_endtag(self, tag: str) -> None:
        self.lasttag = ""


def made(*rows: dict[str, Any]) -> str:
    tally = Tally()
    for row in rows:
        tally.add(row, created_at(row))
    return page("Calls", f"a note {EVIL}", figures(tally))


CALLS = [
    {"created_at": "2026-03-02 09:10:00", "name": "Shop", "disposition": "ANSWERED", "duration": 9},
    {"created_at": "2026-03-03 10:10:00", "name": EVIL, "disposition": "BUSY"},
    {"created_at": "2026-03-05 10:10:00", "name": HOSTILE, "disposition": HOSTILE},
]  # fmt: skip


def test_a_page_refers_to_nothing_outside_it() -> None:
    text = made(*CALLS)
    parsed = Page(text)
    assert {tag for tag, _ in parsed.tags} <= {
        "html", "head", "meta", "link", "title", "style", "body", "h1", "p", "figure",
        "figcaption", "div", "details", "summary", "table", "thead", "tbody", "tr", "th", "td",
        "script",
    }  # fmt: skip
    scripts = [attributes for tag, attributes in parsed.tags if tag == "script"]
    assert scripts == [{}, {}]
    for _, attributes in parsed.tags:
        assert not {"src", "srcset", "action", "poster", "data", "style", "onload"} & {*attributes}
        assert attributes.get("href") in (None, "data:,")
    (style,) = (text for tag, text in parsed.texts if tag == "style")
    assert "url(" not in style
    assert "@import" not in style
    policies = [each["content"] for tag, each in parsed.tags if "http-equiv" in each]
    assert policies[0] is not None
    assert policies[0].startswith("default-src 'none'; ")
    assert "http" not in policies[0]
    assert any(EVIL in text for _, text in parsed.texts)  # as a text, in the note and the tables


def drawn(text: str) -> dict[str, Any]:
    """The traces of each chart by its title."""
    titles = re.findall("<figcaption>(.*?)</figcaption>", text)
    found = re.search(r"<script>const FIGURES = (.*);\nconst ", text)
    assert found is not None
    return {title: each[1] for title, each in zip(titles, json.loads(found[1]), strict=True)}


def test_a_page_has_the_charts_and_their_figures() -> None:
    charts = drawn(made(*CALLS))
    answered, others = charts["Over time"]
    assert answered["x"] == ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"]
    assert (answered["y"], others["y"]) == ([1, 0, 0, 0], [0, 1, 0, 1])
    grid = charts["By weekday and hour"][0]
    assert (grid["y"][0], grid["x"][9], grid["z"][0][9], grid["z"][1][10]) == ("Mon", "09:00", 1, 1)
    websites = charts["By website"][0]
    assert "Shop" in websites["y"]
    assert not any("<" in name for name in websites["y"])  # which plotly.js would take for tags
    assert charts["Length of answered calls"][0]["y"][0] == 1
    assert sum(charts["Answered share"][0]["values"]) == 3


def test_of_rows_that_are_no_calls_there_are_fewer_charts() -> None:
    charts = drawn(made({"created_at": "2026-03-02 09:10:00", "name": "Shop"}))
    assert [*charts] == [
        "Over time", "By weekday and hour", "By hour", "By weekday", "By website"
    ]  # fmt: skip
    assert len(charts["Over time"]) == 1


@pytest.mark.parametrize("rows", [(), ({},)])
def test_a_page_of_nothing_is_a_page(rows: tuple[dict[str, Any], ...]) -> None:
    assert drawn(made(*rows))["Over time"][0]["x"] == []
