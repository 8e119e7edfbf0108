"""The public API as its users type it. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import assert_type

from voipstudio_cmb import (
    Button,
    CallMeBackClient,
    Cdr,
    ClientConfig,
    Filter,
    Limiter,
    Page,
    RateLimit,
    Setting,
    Visitor,
    Walk,
    desired,
    where,
)
from voipstudio_cmb.columns.batches import Batches
from voipstudio_cmb.columns.reader import Reader
from voipstudio_cmb.errors import CallMeBackError, RateLimited
from voipstudio_cmb.export import Export, Plan, Sink
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.models import Record, Row
from voipstudio_cmb.services import Cdrs


class MyLimiter:
    async def acquire(self) -> None: ...


async def provider() -> str:
    return "token"


async def tagging(request: Request, handler: Handler) -> Response:
    return await handler(request)


async def wire(request: Request) -> Response:
    return Response(status=200)


async def use() -> None:
    limiter: Limiter = MyLimiter()
    config = ClientConfig(attempts=2, deadline=5)
    async with CallMeBackClient(provider, config=config, limiter=limiter) as cmb:
        assert_type(cmb, CallMeBackClient)
        assert_type(cmb.cdrs.list(), Walk[Cdr])
        assert_type(cmb.visitors.pages(page_size=1000), Walk[Page[Visitor]])
        async for cdr in cmb.cdrs.list(filters=[where("id") > 5], sort="id", descending=True):
            assert_type(cdr, Cdr)
            assert_type(cdr.created_at, datetime | None)
            assert_type(cdr.culture, int | str | None)
            assert_type(cdr.max_call_rate, Decimal | None)
            cdr.name = "x"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
        async for page in cmb.visitors.pages():
            assert_type(page, Page[Visitor])
            assert_type(page.total, int | None)
        assert_type(await cmb.cdrs.count(filters=Filter("id", "gt", 5)), int)
        assert_type(await cmb.cdrs.list(limit=5).collect(), list[Cdr])
        assert_type(await cmb.cdrs.list().first(), Cdr | None)
        walked = cmb.cdrs.raw_pages(reject=print, limit=None, walk="page", cursor=None)
        assert_type(walked, Walk[Page[Row]])
        batches = cmb.cdrs.batches(size=10, columns=["src"], sort="id", descending=True)
        assert_type(batches, Batches)
        assert_type(batches.to_reader(), Reader)
        cmb.cdrs.list(window=4)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        cmb.cdrs.list(walk="pages")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        cmb.cdrs.raw_pages(reject=print, sort="id")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        setting = await cmb.settings.create(name="Shop", ddi_e164=442012345678)
        assert_type(setting, Setting)
        await cmb.settings.update(77, floating_icon=False, name=None, max_call_rate=Decimal("1.5"))
        list(cmb.cdrs.list())  # type: ignore[call-overload]
        await cmb.cdrs.list()  # type: ignore[misc]
        cmb.cdrs.list()[0]  # type: ignore[index]
        len(cmb.cdrs.list())  # type: ignore[arg-type]
        await cmb.settings.update(77, colour="red")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        await cmb.settings.update(77, floating_icon="yes")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        await cmb.settings.get("77")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        await cmb.buttons.list()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        assert_type(await cmb.buttons.get(5), Button)
        assert_type(await cmb.settings.delete(77), None)
        assert_type(cmb.with_options(attempts=1, deadline=3.0, timeout=1.0), CallMeBackClient)
    assert_type(await Cdrs(wire).list().first(), Cdr | None)
    CallMeBackClient.from_env("default", limiter=RateLimit(60, per=2.0), middlewares=[tagging])


def errors(error: CallMeBackError) -> None:
    if error.sent == "certainly":  # type: ignore[comparison-overlap] # pyright: ignore[reportUnnecessaryComparison]
        return
    if isinstance(error, RateLimited):
        assert_type(error.retry_after, float | None)


class Ids(Sink):
    suffix = "ids"

    def write(
        self,
        rows: Iterable[bytes],
        resource: str,
        record: type[Record],
        path: Path,
        about: Mapping[str, str],
    ) -> int:
        return path.write_bytes(b"\n".join(rows))


async def exports(cmb: CallMeBackClient) -> None:
    Plan(to="out", resources=["cdrs", "buttons"], compress="zstd", since="last")
    Plan(to=Path("out"), resources="cdrs", format=Ids())
    Plan(to="out", format="xml")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Plan(to="out", resources=["calls"])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
    summary = await Export(cmb, Plan(to="out")).run()
    assert_type(summary.jobs[0].error, CallMeBackError | None)


async def settings_as_code(cmb: CallMeBackClient) -> None:
    document = desired.read("widgets.toml")
    plan = await desired.plan(cmb, document, prune=True)
    outcome = await plan.apply(force=True, on_item=lambda result: print(result.state))
    assert_type(outcome.of("stopped"), tuple[desired.Result, ...])
    outcome.of("skipped")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert_type(await desired.pull(cmb, [77]), str)
    assert_type(await desired.SavedPlan.parse(plan.to_json()).reopen(cmb, document), desired.Plan)
