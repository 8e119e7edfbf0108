"""`export --to DIR`: the collections of one account, or of many, into files."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from voipstudio_cmb.exit_codes import DONE, FAILED
from voipstudio_cmb.export import Account, Export, Exports, Plan, Summary, read_accounts
from voipstudio_cmb.export.run.exit_codes import exit_code
from voipstudio_cmb.limits import Limiter

from .arguments import Arguments
from .clients import config_of, open_client, open_limiter
from .displays import open_display, run_with_display, summary_event
from .ending import at_the_end
from .metrics import MetricsFile
from .progress import ProgressTracker
from .report import print_files, report
from .terminal import note
from .workers import AnyExports, worker_exports


async def run(arguments: Arguments, plan: Plan, metrics: MetricsFile | None) -> int:
    """Runs the export that `plan` describes, tells `metrics`, and returns the exit code."""
    quiet = arguments.quiet
    async with contextlib.AsyncExitStack() as stack:
        exports: AnyExports
        if arguments.workers is not None or arguments.cluster is not None:
            exports = await stack.enter_async_context(worker_exports(arguments, plan))
        elif arguments.accounts is not None:
            accounts = accounts_of(arguments)
            if not accounts:
                return DONE
            limiter = await stack.enter_async_context(open_limiter(arguments))
            exports = account_exports(arguments, plan, accounts, limiter)
        else:
            client = await stack.enter_async_context(open_client(arguments))
            exports = Export(client, plan, slots=asyncio.Semaphore(arguments.jobs))
        tracker = ProgressTracker(pause=exports.pause)
        with open_display("none" if quiet else arguments.progress, tracker) as show:
            summary: Summary = await run_with_display(
                exports.run_marked(), lambda: show(tracker.measure(exports.jobs))
            )
        if metrics is not None:
            metrics.summary = summary
        printed = quiet or await print_files(summary.jobs)
        code = exit_code(summary.jobs) or (DONE if printed else FAILED)
        if arguments.progress == "json":
            summary_event(summary)
        else:
            report(summary, code, quiet=quiet)
        if printed:  # who does not know yet what is complete may ask again
            at_the_end(exports.end)
        return code


def accounts_of(arguments: Arguments) -> tuple[Account, ...]:
    """The accounts of `--accounts`, as far as they are of `--shard`: it may have none."""
    accounts = read_accounts(arguments.accounts, only=arguments.account, shard=arguments.shard)
    if not accounts:
        note(arguments, "none of the accounts is of this shard: there is nothing to do")
    return accounts


def account_exports(
    arguments: Arguments, plan: Plan, accounts: Sequence[Account], limiter: Limiter | None
) -> Exports:
    """The exports of the `accounts`, whose requests `limiter` paces."""
    return Exports(
        accounts,
        plan,
        slots=arguments.jobs,
        limiter=limiter,
        rate=arguments.rate_per_account,
        shard=arguments.shard,
        config=config_of(arguments),
    )
