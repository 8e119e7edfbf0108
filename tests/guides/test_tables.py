"""The tables of the guides say what the code does: exit codes, events, manifest, operations."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.guides.documents import ROOT, guide
from voipstudio_cmb import exit_codes
from voipstudio_cmb.cli import displays
from voipstudio_cmb.cli.progress import JobProgress
from voipstudio_cmb.errors import ConfigError, ExportError
from voipstudio_cmb.export import Job, Summary, read_accounts
from voipstudio_cmb.export.store.manifest import Entry
from voipstudio_cmb.services import Buttons, Cdrs, Settings, Visitors, Websites


def table(name: str, head: str) -> list[list[str]]:
    """The rows of the table in the guide `name` whose first line begins with `head`."""
    below = guide(name).text.partition(f"\n| {head}")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in below.splitlines()[2:]]


def quoted(text: str) -> set[str]:
    return {*re.findall(r"`([^`]*)`", text)}


@pytest.mark.parametrize("name", ["export", "nightly"])
def test_all_exit_codes_are_told(name: str) -> None:
    told = {int(code) for row in table(name, "exit code") for code in re.findall(r"\d+", row[0])}
    known = {code for code in vars(exit_codes).values() if type(code) is int}
    assert told == known - {exit_codes.CHANGES}  # which the guide on settings tells


def test_the_manifest_has_what_is_told() -> None:
    told = set[str]().union(*(quoted(row[0]) for row in table("export", "member of a file")))
    assert told == {field.name for field in attrs.fields(Entry)}


def test_the_events_have_what_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    at = iter(range(0, 1000, 10))
    display = displays.EventDisplay(lambda: float(next(at)))
    jobs = [Job(resource=name, path=Path(name), state="running") for name in ("cdrs", "visitors")]
    display.show([JobProgress(job=job) for job in jobs])
    display.show([JobProgress(job=job) for job in jobs])
    jobs[0].state, jobs[1].state, jobs[1].error = "done", "failed", ExportError("full")
    display.show([JobProgress(job=job) for job in jobs])
    displays.summary_event(Summary(jobs=jobs, requests=1, retries=0, seconds=1.0))
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    shown = {each["event"]: {*each} - {"event", "time"} for each in events}
    told = {row[0].strip("`"): quoted(row[1].partition(" of all")[0]) for row in rows_of_events()}
    assert {name: told[name] for name in shown} == shown
    others = {"rejected", "note", "log", "end"}  # which have tests of their own
    assert {*told} - {*shown} == others


def rows_of_events() -> list[list[str]]:
    return [[name, re.sub(r"\(.*?\)", "", members)] for name, members in table("export", "`event`")]


def test_the_operations_are_those_of_the_page() -> None:
    paths = {
        each.__name__.lower(): each.path for each in (Buttons, Cdrs, Settings, Visitors, Websites)
    }
    told = set[str]()
    for service, *cells in table("settings", "service"):
        path = paths[service.strip("`").partition(".")[2]]
        for cell in filter(None, cells):
            method, _, rest = cell.strip("`").partition(" ")
            told.add(f"{method} {rest.replace('…', path) or path}")
    page: list[Any] = json.loads((ROOT / "tests/data/operations.json").read_text())
    assert told == {f"{each['method']} {each['path']}" for each in page}


def test_the_keys_of_the_accounts_are_told(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text("[accounts.shop]\nother = 1")
    with pytest.raises(ConfigError) as refused:
        read_accounts(file, env={})
    told = [row[0].strip("`") for row in table("accounts", "key")]
    assert told[0] == "[accounts.NAME]"
    assert f"(known: {', '.join(told[1:])})" in str(refused.value)
