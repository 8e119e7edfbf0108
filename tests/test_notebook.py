"""What a notebook shows: tables, of which nothing is fetched and nothing is markup."""

from __future__ import annotations

from pathlib import Path

from voipstudio_cmb import CallMeBackClient, where
from voipstudio_cmb.export import Export, Plan
from voipstudio_cmb.models import Cdr, Page
from voipstudio_cmb.sandbox import Sandbox


def cells(thing: object) -> list[str]:
    html: str = thing._repr_html_()  # type: ignore[attr-defined]
    return html.replace("</", "<").replace("th>", "td>").split("<td>")[1::2]


async def test_a_walk_shows_what_it_would_do_and_fetches_nothing() -> None:
    async with Sandbox(rows=30) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        walk = cmb.cdrs.list(filters=where("id") > 5, page_size=10)
        for name, value in {
            "of": "callmeback/cdrs",
            "filters": "id&gt;5",
            "page_size": "10",
        }.items():
            shown = cells(walk)
            assert shown[shown.index(name) + 1].endswith(value)
        assert "nothing is sent yet" in cells(walk)
        assert cmb.usage.requests == 0
        await anext(walk)
        assert "begun" in cells(walk)
        await walk.aclose()
        assert "ended" in cells(walk)


async def test_a_page_and_a_record_show_all_that_was_sent() -> None:
    async with Sandbox(rows=3) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        page = await cmb.cdrs.pages().first()
        raw = await cmb.cdrs.raw_pages(reject=list).first()
    assert page is not None
    assert raw is not None
    names = list(page.records[0].keys())
    assert cells(page)[: len(names)] == names
    assert cells(raw)[: len(names)] == names
    assert (
        "<td>&lt;b&gt;</td>"
        in Page(records=[Cdr(id=1, name="<b>")], number=1, total=1)._repr_html_()
    )


async def test_a_summary_shows_its_jobs(tmp_path: Path) -> None:
    async with Sandbox(rows=3) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        summary = await Export(cmb, Plan(to=tmp_path, resources="cdrs")).run()
    shown = cells(summary)
    assert shown == [
        "resource",
        "path",
        "state",
        "rows",
        "cdrs",
        str(tmp_path / "cdrs.jsonl"),
        "done",
        "3",
    ]
