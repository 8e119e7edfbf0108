"""Whose an export is: `GET /me` says so, and an export works where that does not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.peer import closed_port
from benchmarks.harness.responses import json_response
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.client import IDENTITY_SECONDS
from voipstudio_cmb.errors import (
    CallMeBackError,
    ClientMisuse,
    ConnectFailed,
    ServerFault,
    Unauthorized,
)
from voipstudio_cmb.export import Export, Plan, Summary, forecast
from voipstudio_cmb.export.run.owner import checked_owner
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.patience import Patience
from voipstudio_cmb.sandbox import Fault, Sandbox

AT_ONCE = ClientConfig(retry=lambda e, r, n: 0.0 if e.retryable and n < 3 else None)


def client(api: Sandbox, token: Any = None) -> CallMeBackClient:
    return CallMeBackClient(token or api.token, base_url=api.base_url, config=AT_ONCE)


async def exported(api: Sandbox, to: Path, **options: Any) -> Summary:
    async with client(api) as cmb:
        return await Export(cmb, Plan(to=to, resources=["cdrs"], page_size=20, **options)).run()


FAILURES = [
    *({"status": status} for status in (302, 400, 403, 404, 408, 418, 500, 501, 502, 520)),
    pytest.param({"status": 503}, marks=pytest.mark.campaign, id="503"),  # seconds of pauses
    {"drop": "before"},
    {"drop": "mid-body"},
    {"body": b"<html>maintenance</html>"},
    {"body": {"data": {}}},
    {"body": b""},
    {"status": 429, "headers": {"Retry-After": "9999"}},
]  # fmt: skip


@pytest.mark.parametrize("fault", FAILURES, ids=str)
async def test_an_export_works_where_nothing_says_whose_it_is(
    fault: dict[str, Any], tmp_path: Path
) -> None:
    async with Sandbox(rows=50) as api:
        api.script(Fault(path="/me", times=None, **fault))
        plan = Plan(to=tmp_path, resources=["cdrs"])
        async with client(api) as cmb:
            assert (await cmb.identity()).startswith("token ")
            assert [each.rows for each in await forecast(cmb, plan)] == [50]
        assert (await exported(api, tmp_path)).complete


async def test_a_refused_token_is_the_end_of_it(tmp_path: Path) -> None:
    async with Sandbox(rows=50) as api:
        api.script(Fault(path="/me", status=401, times=None))
        async with client(api) as cmb:
            with pytest.raises(Unauthorized):
                await cmb.identity()
        (job,) = (await exported(api, tmp_path)).jobs
        assert isinstance(job.error, Unauthorized)


async def test_a_client_that_is_closed_is_not_taken_for_a_failing_api() -> None:
    async with Sandbox(rows=1) as api:
        cmb = client(api)
        await cmb.aclose()
        with pytest.raises(ClientMisuse, match="closed"):
            await cmb.identity()


async def test_a_series_that_began_without_it_goes_on_with_it(tmp_path: Path) -> None:
    async with Sandbox(rows=50) as api:
        api.script(Fault(path="/me", status=500, times=3))
        assert (await exported(api, tmp_path, since="last")).complete
        api.data.cdrs.insert(name="new")
        summary = await exported(api, tmp_path, since="last")
        assert [job.rows for job in summary.jobs] == [1]


async def test_an_export_that_is_resumed_waits_until_it_is_said_again(tmp_path: Path) -> None:
    async with Sandbox(rows=200) as api:
        api.script(Fault(path="/callmeback/cdrs", after=7, status=403, times=None))
        assert (await exported(api, tmp_path)).resumable
        api.clear_faults()
        api.script(Fault(path="/me", status=502, times=None))
        (job,) = (await exported(api, tmp_path)).jobs
        assert isinstance(job.error, ServerFault)
        assert (job.resumable, job.error.retryable) == (True, True)
        assert "nobody knows whether the files are this account's" in str(job.error)
        async with client(api) as cmb:
            with pytest.raises(CallMeBackError, match="nobody knows whether"):
                await forecast(cmb, Plan(to=tmp_path, resources=["cdrs"], page_size=20))
        api.clear_faults()
        api.script(Fault(path="/me", status=403, times=None))  # which does not pass
        with pytest.raises(ClientMisuse, match="is another account's"):
            await exported(api, tmp_path)
        api.clear_faults()
        (job,) = (await exported(api, tmp_path)).jobs
        assert (job.state, job.rows) == ("done", 200)
        assert job.kept > 0


class _Continued:
    """The files of the account 7, which are continued."""

    def check_owner(self, *names: str) -> None:
        if "id 7" not in names:
            raise ClientMisuse("another account's")


@virtual
async def test_an_export_that_is_resumed_is_patient_too() -> None:
    loop, away, requests = asyncio.get_running_loop(), [0.0], [0]

    async def api(request: Request, handler: Handler) -> Response:
        requests[0] += 1
        gone = loop.time() < away[0]
        return Response(status=503) if gone else json_response({"id": 7})

    for minutes, back in ((0, True), (10, True), (20, False)):
        began, away[0] = loop.time(), loop.time() + 60 * minutes
        config = ClientConfig(patience=Patience(900))
        async with CallMeBackClient("token", middlewares=[api], config=config) as cmb:
            if back:
                assert await checked_owner(cmb, _Continued()) == "id 7"  # type: ignore[arg-type]
            else:
                with pytest.raises(ServerFault, match="nobody knows whether"):
                    await checked_owner(cmb, _Continued())  # type: ignore[arg-type]
        assert 60 * min(minutes, 15) <= loop.time() - began < 60 * min(minutes, 15) + 60
    assert requests[0] < 300


async def test_another_accounts_files_are_still_refused(tmp_path: Path) -> None:
    async with Sandbox(rows=50) as api:
        api.script(Fault(path="/me", status=500, times=3))
        assert (await exported(api, tmp_path, since="last")).complete
        api.token = "another-token"  # of which nothing says that it is the same account's
        with pytest.raises(ClientMisuse, match="is another account's"):
            await exported(api, tmp_path, since="last")


async def test_a_host_that_is_down_is_asked_nothing_more(tmp_path: Path) -> None:
    with closed_port() as bound:
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with CallMeBackClient("token", base_url=url, config=AT_ONCE) as cmb:
            summary = await Export(cmb, Plan(to=tmp_path, resources=["cdrs", "visitors"])).run()
            assert cmb.usage.calls == 1
    assert [type(job.error) for job in summary.jobs] == [ConnectFailed] * 2


@virtual
async def test_it_is_not_waited_for_longer_than_an_export_waits_for_anything_else() -> None:
    async def busy(request: Request, handler: Handler) -> Response:
        return Response(status=429)

    async with CallMeBackClient("token", middlewares=[busy]) as cmb:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await cmb.identity()).startswith("token ")
        assert loop.time() - began <= IDENTITY_SECONDS
