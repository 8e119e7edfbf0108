"""What an export would fetch, and rows that go to a pipe instead of a file."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import run_command, script_bad_row
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.errors import ClientMisuse, Forbidden
from voipstudio_cmb.export import Export, Plan, forecast
from voipstudio_cmb.export.run.forecast import requests
from voipstudio_cmb.export.run.stream import Stream
from voipstudio_cmb.export.store.disk import Disk
from voipstudio_cmb.sandbox import Fault, Sandbox


def connected(api: Sandbox) -> CallMeBackClient:
    config = ClientConfig(retry=lambda error, request, attempts: None)
    return CallMeBackClient(api.token, base_url=api.base_url, config=config)


async def test_a_forecast_knows_what_is_kept_and_what_is_done(tmp_path: Path) -> None:
    class Full(Disk):
        def link(self, path: Path, to: Path) -> None:
            if to.name == "visitors.jsonl":
                raise OSError(errno.ENOSPC, "full")
            super().link(path, to)

    plan = Plan(to=tmp_path, resources=["cdrs", "visitors", "websites", "buttons"], page_size=50)
    async with Sandbox(rows=300) as api, connected(api) as cmb:
        api.script(Fault(path="/callmeback/cdrs", after=7, status=500, times=None))
        await Export(cmb, plan, disk=Full()).run()
        api.clear_faults()
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        cdrs, visitors, websites, buttons = await forecast(cmb, plan)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        assert cdrs.rows == 300
        assert 0 < cdrs.kept < 300
        assert cdrs.requests == -(-(300 - cdrs.kept) // 50) + 2
        assert (visitors.rows, visitors.requests) == (visitors.kept, 0)
        assert not visitors.already
        assert websites.already
        assert (websites.rows, websites.requests) == (12, 0)
        assert buttons.already
        assert requests([cdrs, visitors, websites, buttons]) == (cdrs.requests or 0) + 1
        assert (await Export(cmb, plan).run()).complete


async def streamed(api: Sandbox, plan: Plan, **options: Any) -> tuple[Stream, bytes]:
    """A stream, and what came out of it."""
    written: list[bytes] = []

    async def write(data: bytes) -> None:
        written.append(data)

    async with connected(api) as cmb:
        stream = Stream(cmb, plan, write, **options)
        await stream.run()
    return stream, b"".join(written)


async def nowhere(data: bytes) -> None:
    pass


@pytest.mark.parametrize("resource", ["cdrs", "buttons"])
async def test_a_stream_has_the_bytes_of_the_file(tmp_path: Path, resource: str) -> None:
    async with Sandbox(rows=600) as api:
        async with connected(api) as cmb:
            await Export(cmb, Plan(to=tmp_path, resources=resource)).run()
        stream, found = await streamed(api, Plan(to="-", resources=resource, page_size=400))
        assert found == (tmp_path / f"{resource}.jsonl").read_bytes()
        assert (stream.job.state, stream.job.rows) == ("done", len(found.splitlines()))
        _, upper = await streamed(api, Plan(to="-", resources=resource), each=bytes.upper)
        assert upper == found.upper()
    assert not Path("-").exists()


async def test_a_stream_that_fails_says_so_and_names_what_it_could_not_use() -> None:
    async with Sandbox(rows=300) as api:
        with pytest.raises(ClientMisuse, match="exactly one resource"):
            await streamed(api, Plan(to="-", resources=["cdrs", "visitors"]))
        script_bad_row(api)
        stream, found = await streamed(api, Plan(to="-", resources="settings"))
        assert found == b'{"id":1}\n{"id":2}\n'
        assert [reject.why for reject in stream.rejects] == ["it is no object but a string"]
        assert stream.job.rejected == 1
        api.clear_faults()
        api.script(Fault(path="/callmeback/buttons", status=404))
        stream, _ = await streamed(api, Plan(to="-", resources="buttons"))
        assert len(stream.job.missing) == 1
        api.script(Fault(path="/callmeback/cdrs", after=7, status=403, times=None))
        async with connected(api) as cmb:
            stream = Stream(cmb, Plan(to="-", resources="cdrs", page_size=50), nowhere)
            with pytest.raises(Forbidden):
                await stream.run()
        assert stream.job.state == "failed"
        assert 0 < stream.job.rows < 300


def test_the_command_streams(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(rows=300) as api:
        monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", api.token)
        monkeypatch.setenv("VOIPSTUDIO_API_URL", api.base_url)
        argv = ["export", "--to", "-", "--page-size", "50", "--progress"]
        ran = run_command(capfd, *argv, "json", "cdrs")
        assert (ran.code, len(ran.out.splitlines())) == (0, 300)
        api.script(Fault(path="/callmeback/buttons", status=404))
        ran = run_command(capfd, *argv, "none", "buttons")
        assert (ran.code, ran.err) == (0, "buttons: 1 are named and do not exist\n")
        script_bad_row(api)
        for progress in ("none", "json"):
            ran = run_command(capfd, *argv, progress, "settings")
            assert (ran.code, ran.out) == (3, '{"id":1}\n{"id":2}\n')
            assert "it is no object but a string" in ran.err
        api.script(Fault(path="/callmeback/cdrs", after=7, status=403, times=None))
        ran = run_command(capfd, *argv, "none", "cdrs")
        assert ran.code == 1
        assert ran.err.endswith(": the output is incomplete\n")
