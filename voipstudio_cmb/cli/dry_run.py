"""`export --dry-run`: what would be fetched, and how long that takes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from voipstudio_cmb.exit_codes import DONE
from voipstudio_cmb.export import Job, Plan
from voipstudio_cmb.export.run.exit_codes import exit_code
from voipstudio_cmb.export.run.forecast import Forecast, forecast, requests

from .arguments import Arguments
from .clients import open_client, open_limiter
from .files import account_exports, accounts_of
from .report import failures
from .stdio import print_text
from .table import table_text
from .terminal import note, notify


async def run(arguments: Arguments, plan: Plan) -> int:
    """Prints the forecast of `plan` and returns the exit code."""
    rates: dict[str, float | None] = {}
    if arguments.accounts is None:
        async with open_client(arguments) as client:
            forecasts = await forecast(client, plan)
    else:
        accounts = accounts_of(arguments)
        if not accounts:
            return DONE
        rates = {each.name: each.rate or arguments.rate_per_account for each in accounts}
        async with open_limiter(arguments) as limiter:
            forecasts = await account_exports(arguments, plan, accounts, limiter).forecast()
    jobs = [_job(each, plan) for each in forecasts]
    for reason in failures(jobs):
        notify(arguments, reason)
    if not arguments.quiet:
        await print_text(table_text([_row(each) for each in forecasts], sys.stdout))
    note(arguments, f"{_outlook(forecasts, rates, arguments)}; nothing was written")
    return exit_code(jobs)


def _outlook(
    forecasts: Sequence[Forecast], rates: dict[str, float | None], arguments: Arguments
) -> str:
    known = [each for each in forecasts if each.error is None]
    if not known:
        return "what it would take is not known"
    return (
        f"about {requests(known):,} requests"
        + (", and one for each button" if any(each.requests is None for each in known) else "")
        + (", or fewer: only what is new is fetched" if arguments.since else "")
        + f"; {_estimate(known, rates, arguments.rate)}"
    )


def _job(each: Forecast, plan: Plan) -> Job:
    """The job as it would end, as far as that is known: what decides the exit code."""
    job = Job(resource=each.resource, account=each.account, path=plan.directory, error=each.error)
    job.state = "failed" if each.error else "done"
    return job


def _row(each: Forecast) -> dict[str, str]:
    unknown = "failed" if each.error else "unknown until read"
    return {
        "account": each.account,
        "resource": each.resource,
        "rows": unknown if each.rows is None else f"{each.rows:,}",
        "kept": "all" if each.already else f"{each.kept:,}" if each.kept else "",
        "requests": "unknown" if each.requests is None else f"{each.requests:,}",
    }


def _estimate(
    forecasts: Sequence[Forecast], rates: dict[str, float | None], shared_rate: float | None
) -> str:
    """How long the requests take at the account's own rate in `rates`, else at `shared_rate`."""
    accounts = {each.account for each in forecasts}
    numbers = {
        name: requests([each for each in forecasts if each.account == name]) for name in accounts
    }
    seconds = [number / rate for name, number in numbers.items() if (rate := rates.get(name))]
    shared_requests = sum(number for name, number in numbers.items() if not rates.get(name))
    if shared_rate is not None:
        seconds.append(shared_requests / shared_rate)
    elif shared_requests:
        return "no rate is set, so the time depends on the API"
    return f"about {max(1, round(max(seconds, default=0))):,} s at the rate that is set"
