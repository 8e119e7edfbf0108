"""The command `export`: into files, of many accounts, to a pipe, or only foreseen."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.export import Account, Export, Exports, Job, Plan, Summary, read_accounts
from voipstudio_cmb.export.run.forecast import Forecast, forecast, requests
from voipstudio_cmb.export.run.stream import Stream
from voipstudio_cmb.filters import parse

from .clients import check_rate, limiter_of, opened, sandboxed
from .displays import display, event, note, summarized
from .exit_codes import DONE, FAILED, INCOMPLETE, exit_code
from .progress import Watch
from .report import files, report
from .terminal import escaped, say, table


async def export(arguments: argparse.Namespace) -> int:
    """Does what the options of `export` say; returns the exit code."""
    plan = _plan(arguments)
    if arguments.to == "-":
        _check_stream(arguments, plan)
        return await _stream(arguments, plan)
    if arguments.dry_run:
        return await _foresee(arguments, plan)
    async with contextlib.AsyncExitStack() as stack:
        running = await _exports(arguments, plan, stack)
        return await _watched(arguments, running)


def _plan(arguments: argparse.Namespace) -> Plan:
    _check_accounts(arguments)
    return Plan(
        to=arguments.to,
        resources=arguments.resources,
        format=arguments.format,
        compress=arguments.compress,
        csv_null=arguments.csv_null,
        filters=tuple(parse(text) for text in arguments.filter),
        page_size=arguments.page_size,
        concurrency=arguments.concurrency,
        overwrite=arguments.overwrite,
        restart=arguments.restart,
        since=arguments.since,
    )


def _check_accounts(arguments: argparse.Namespace) -> None:
    check_rate(arguments.rate)
    check_rate(arguments.rate_per_account, "--rate-per-account")
    if arguments.jobs < 1:
        raise ClientMisuse(f"--jobs must be at least 1, not {arguments.jobs}")
    if arguments.rate_per_account is not None:
        if arguments.accounts is None:
            raise ClientMisuse(
                "--rate-per-account goes with --accounts; for one account it's --rate"
            )
        if arguments.rate is not None:
            raise ClientMisuse(
                "choose one: --rate for all accounts, or --rate-per-account for each"
            )
    if arguments.accounts is not None and (arguments.profile or arguments.sandbox):
        raise ClientMisuse("--accounts names what to export: leave --profile and --sandbox away")


def _check_stream(arguments: argparse.Namespace, plan: Plan) -> None:
    wrong = {
        f"--format {arguments.format}": arguments.format != "jsonl",
        "--compress": arguments.compress is not None,
        "--overwrite": arguments.overwrite,
        "--restart": arguments.restart,
        "--since": arguments.since is not None,
        "--accounts": arguments.accounts is not None,
        "--dry-run": arguments.dry_run,
    }
    for option, given in wrong.items():
        if given:
            raise ClientMisuse(f"--to - streams rows as JSON Lines, and keeps nothing: no {option}")
    if len(plan.resources) != 1:
        raise ClientMisuse("--to - streams exactly one resource: name it")


def _tell(arguments: argparse.Namespace) -> Callable[[str], None]:
    return note if arguments.progress == "json" else say


@contextlib.asynccontextmanager
async def _client(arguments: argparse.Namespace) -> AsyncIterator[CallMeBackClient]:
    opening = sandboxed(arguments, _tell(arguments)) if arguments.sandbox else opened(arguments)
    async with opening as client:
        yield client


async def _exports(
    arguments: argparse.Namespace, plan: Plan, stack: contextlib.AsyncExitStack
) -> Export | Exports:
    """What is to be run; a client that it needs is closed by *stack*."""
    if arguments.accounts is not None:
        return _of_accounts(arguments, plan, read_accounts(arguments.accounts))
    client = await stack.enter_async_context(_client(arguments))
    return Export(client, plan, slots=asyncio.Semaphore(arguments.jobs))


def _of_accounts(arguments: argparse.Namespace, plan: Plan, accounts: Sequence[Account]) -> Exports:
    return Exports(
        accounts,
        plan,
        slots=arguments.jobs,
        limiter=limiter_of(arguments),
        rate=arguments.rate_per_account,
    )


async def _watched(arguments: argparse.Namespace, exports: Export | Exports) -> int:
    watch = Watch()
    summary: Summary
    with display(arguments.progress, watch) as shown:
        summary = await _shown(exports.run(), lambda: shown.show(watch.look(exports.jobs)))
    if arguments.progress != "json":
        return report(summary, watch.seconds)
    code = exit_code(summary.jobs)
    files(summary.jobs)
    summarized(summary, code)
    return code


async def _shown(work: Any, show: Callable[[], None]) -> Any:
    """What *work* returns; *show* is called now and then while it runs, and at its end."""
    running = asyncio.ensure_future(work)
    try:
        while not running.done():
            show()
            await asyncio.wait((running,), timeout=0.1)
        show()
    finally:
        running.cancel()
        await asyncio.wait((running,))
    return running.result()


async def _stream(arguments: argparse.Namespace, plan: Plan) -> int:
    terminal = sys.stdout.isatty()
    async with _client(arguments) as client:
        stream = Stream(client, plan, sys.stdout.fileno(), _harmless if terminal else bytes)
        watch, told = Watch(), 0
        # On a terminal the rows are progress enough.
        mode = "none" if terminal and arguments.progress == "auto" else arguments.progress
        with display(mode, watch) as shown:

            def show() -> None:
                nonlocal told
                shown.show(watch.look([stream.job]))
                for reject in stream.rejects[told:]:
                    told += 1
                    where = {"page": reject.page, "index": reject.index, "reason": reject.why}
                    if arguments.progress == "json":
                        event("rejected", account="", resource=stream.job.resource, **where)
                    else:
                        say(
                            f"{stream.job.resource}: page {reject.page}, row {reject.index}: "
                            f"rejected, {reject.why}"
                        )

            try:
                await _shown(stream.run(), show)
            except CallMeBackError as error:
                show()
                if not stream.job.rows:
                    raise
                _tell(arguments)(f"error: {error}: the output is incomplete")
                return FAILED
    if stream.job.missing:
        _tell(arguments)(f"buttons: {len(stream.job.missing)} are named and do not exist")
    return INCOMPLETE if stream.rejects else DONE


def _harmless(row: bytes) -> bytes:
    return escaped(row.decode()).encode()


async def _foresee(arguments: argparse.Namespace, plan: Plan) -> int:
    rates: dict[str, float | None] = {}
    if arguments.accounts is None:
        async with _client(arguments) as client:
            found = await forecast(client, plan)
    else:
        accounts = read_accounts(arguments.accounts)
        rates = {each.name: each.rate or arguments.rate_per_account for each in accounts}
        found = await _of_accounts(arguments, plan, accounts).forecast()
    tell = _tell(arguments)
    for each in found:
        if each.error is not None:
            what = f"{each.account}/{each.resource}" if each.account else each.resource
            tell(f"{what}: failed: {' '.join(str(each.error).split())}")
    columns = ("account", "resource", "rows", "in hand", "requests")
    cells = [_cells(each) for each in found]
    table([name for name in columns if any(row[name] for row in cells)], cells, sys.stdout)
    unknown = any(each.requests is None and each.error is None for each in found)
    tell(
        f"about {requests(found):,} requests"
        + (", and one for each button" if unknown else "")
        + (", or fewer: only what is new is fetched" if arguments.since else "")
        + f"; {_estimate(found, rates, arguments.rate)}; nothing was written"
    )
    return exit_code(
        [
            Job(
                resource=each.resource,
                path=plan.to,
                state="failed" if each.error else "done",
                error=each.error,
            )
            for each in found
        ]
    )


def _cells(each: Forecast) -> dict[str, str]:
    unknown = "failed" if each.error else "unknown until read"
    return {
        "account": each.account,
        "resource": each.resource,
        "rows": unknown if each.rows is None else f"{each.rows:,}",
        "in hand": "all" if each.already else f"{each.kept:,}" if each.kept else "",
        "requests": "unknown" if each.requests is None else f"{each.requests:,}",
    }


def _estimate(
    found: Sequence[Forecast], rates: dict[str, float | None], shared: float | None
) -> str:
    """How long they take as the requests are paced: by a rate of the account's own, or *shared*."""
    seconds, together = [0.0], 0
    for account in {each.account for each in found}:
        number = requests([each for each in found if each.account == account])
        own = rates.get(account)
        if own is not None:
            seconds.append(number / own)
        else:
            together += number
    if together and shared is None:
        return "the rate is unlimited, so the time is the API's to tell"
    if shared is not None:
        seconds.append(together / shared)
    return f"about {max(1, round(max(seconds))):,} s at the rate that is allowed"
